# What a kernel sees of its own breakpoints (SDM vol. 3, 17.2 and 17.3): writes, reads, instructions, single steps
# and protected debug registers, while a timer interrupts. Before each case the kernel says which bits of DR6 it
# expects and from where; the handler of #DB compares.
        .set RELOAD, 7
        .set ROUNDS, 1000
        .set WRITES, 1
        .set READS_AND_WRITES, 3
        .set INSTRUCTIONS, 0
        .set DR7_FIXED, 0x400
        .set GD, 1 << 13
        .set BD, 1 << 13
        .set BS, 1 << 14
        .set TF, 0x100
        .set RF, 0x10000

        .include "entry.inc"

# DR`number` alone; `coded` is the length as DR7 holds it.
        .macro arm number, address, kind, coded
        leaq \address(%rip), %rax
        movq %rax, %dr\number
        movl $DR7_FIXED | 2 << (2 * \number) | (\kind | \coded << 2) << (16 + 4 * \number), %eax
        movq %rax, %dr7
        .endm
        .macro disarm
        movl $DR7_FIXED, %eax
        movq %rax, %dr7
        .endm
        .macro expect bits, rip
        movl $\bits, bits(%rip)
        leaq \rip(%rip), %rax
        movq %rax, rip(%rip)
        movl $0, hits(%rip)
        .endm
# So many hits since `expect`; `case` names the first that was wrong.
        .macro confirm count, case
        movl $\case, %ecx
        movl $\count, %edx
        call compare
        .endm
        .macro single_step
        pushfq
        orl $TF, (%rsp)
        popfq
        .endm

main:   vector 1, debug, INTERRUPT_GATE
        vector 0x40, software, INTERRUPT_GATE
        movl $ROUNDS, %r15d
        sti
again:
        arm 0, first, WRITES, 3
        expect 1, 1f
        movl %r15d, first(%rip)
1:      confirm 1, 1
        expect 1, 1f
        movl first(%rip), %eax
        cmpl $0, first(%rip)
1:      confirm 0, 2

        arm 1, second, READS_AND_WRITES, 2
        expect 2, 1f
        movb second + 7(%rip), %bl
1:      confirm 1, 3
        expect 2, 1f
        lock incq second(%rip)
1:      confirm 1, 4
        expect 2, 1f
        movq %rbx, second - 8(%rip)
        movb %bl, second + 8(%rip)
1:      confirm 0, 5

        arm 2, site, INSTRUCTIONS, 0
        expect 4, site
site:   incl %ebp
        confirm 1, 6

        arm 3, string + 5, WRITES, 0
        expect 8, 1f
        leaq string(%rip), %rdi
        movl $8, %ecx
1:      rep stosb
        confirm 1, 7

        disarm
        expect BS, 1f
        single_step
        nop
1:      confirm 1, 8

        arm 0, first, WRITES, 3
        expect BS | 1, 1f
        single_step
        movl %r15d, first(%rip)
1:      confirm 1, 9

        arm 0, stack_slot, WRITES, 2
        movq %rsp, %r14
        leaq stack_slot + 8(%rip), %rbx
        expect 1, 1f
        cli                         # the timer would push there
        movq %rbx, %rsp
        call 1f
1:      movq %r14, %rsp
        sti
        confirm 1, 10

        movl $DR7_FIXED | GD, %ebx  # the handler finds it cleared
        expect BD, 1f
        movq %rbx, %dr7
1:      movq %dr6, %rax
        confirm 1, 11

        expect 0, 1f
        .byte 0xf1                  # INT1 is no debug condition
1:      confirm 1, 12

        arm 2, software, INSTRUCTIONS, 0
        expect 4, software          # the first instruction of a handler
        int $0x40
        confirm 1, 13

        movq %cr4, %rax
        orl $8, %eax                # DE: breakpoints cover ports
        movq %rax, %cr4
        movl $COM1 + 7, %ebx        # the scratch register
        movq %rbx, %dr1
        movl $DR7_FIXED | 2 << 2 | 2 << 20, %eax
        movq %rax, %dr7
        movl $COM1 + 7, %edx
        expect 2, 1f
        inb %dx, %al
1:      confirm 1, 14

        cli
        arm 2, timer, INSTRUCTIONS, 0
        expect 4, timer             # likewise, called from outside
        sti
        hlt
        cli
        confirm 1, 15
        disarm
        sti

        decl %r15d
        jnz again
        cli
        say "wrong "
        movl wrong(%rip), %eax
        call print_number
        say ", first in case "
        movl wrong_case(%rip), %eax
        call print_number
        say "\n"
        jmp power_off

compare:
        cmpl hits(%rip), %edx
        jne 1f
        cmpl $0, bad(%rip)
        je 3f
1:      cmpl $0, wrong(%rip)
        jne 2f
        movl %ecx, wrong_case(%rip)
2:      incl wrong(%rip)
        movl $0, bad(%rip)
3:      ret

software:
        nop
        iretq

timer:  pushq %rax
        incl ticks(%rip)
        movb $0x20, %al
        outb %al, $0x20
        popq %rax
        iretq

# #DB: sets RF where an instruction breakpoint would hit again, and clears TF.
debug:  pushq %rax
        pushq %rbx
        incl hits(%rip)
        movq %dr6, %rax
        movl %eax, %ebx
        andl $0xe00f, %eax
        cmpl bits(%rip), %eax
        jne 1f
        movq 16(%rsp), %rax
        cmpq rip(%rip), %rax
        je 2f
1:      incl bad(%rip)
2:      testl $4, %ebx
        jz 3f
        orl $RF, 32(%rsp)
3:      testl $8, %ebx
        jz 4f
        cmpl $2, %ecx               # iterations of the string that are left
        je 4f
        incl bad(%rip)
4:      andl $~TF, 32(%rsp)
        movl $0xffff0ff0, %eax
        movq %rax, %dr6
        popq %rbx
        popq %rax
        iretq

        .balign 8
            .quad 0
first:      .quad 0
            .quad 0
second:     .quad 0
            .quad 0
string:     .quad 0
            .skip 256
stack_slot: .quad 0
rip:        .quad 0
bits:       .long 0
hits:       .long 0
bad:        .long 0
wrong:      .long 0
wrong_case: .long 0
ticks:      .long 0
