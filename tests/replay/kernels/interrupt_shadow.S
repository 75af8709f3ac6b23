# Where interrupts are taken around STI and MOV SS (SDM vol. 3, 6.8): not between one that opens them and the
# instruction after it, which is in its shadow, but after that. A timer interrupts all the time, mostly while the
# kernel holds interrupts off; its handler counts from where it was called. At the end every instruction in a
# shadow must have the count 0, and every one behind a shadow must not.
        .set RELOAD, 5
        .set INTERRUPTS, 20000

# The next instruction is in a shadow, or behind one.
        .macro in_shadow
7:      .pushsection .text, 1
        .quad 7b, 0
        .popsection
        .endm
        .macro behind
7:      .pushsection .text, 2
        .quad 7b, 0
        .popsection
        .endm
# Holds interrupts off long enough for one to wait.
        .macro hold
        cli
        .rept 20
        incq %r8
        .endr
        .endm

        .text 1
shadows:
        .text 2
behinds:
        .text 3
tables_end:
        .text 0
        .include "entry.inc"

main:   vector 3, breakpoint, TRAP_GATE
        movl $16, %r9d
        leaq scratch(%rip), %r10
        movq %cr3, %r11
again:
        hold                        # waits for the timer
        sti
        in_shadow
        hlt
        behind
        nop

        incl round(%rip)            # and then for as long as never before, or the timer keeps step
        movl round(%rip), %ecx
        andl $255, %ecx
1:      decl %ecx
        jns 1b

        hold                        # plain
        sti
        in_shadow
        nop
        behind
        nop

        hold                        # the shadow's instruction ends the block
        sti
        in_shadow
        jmp 1f
1:      behind
        nop

        hold
        sti
        in_shadow
        call function

        hold                        # closed again before anything can happen
        sti
        in_shadow
        cli
        in_shadow
        nop

        hold                        # a second STI casts no shadow
        sti
        in_shadow
        sti
        behind
        nop

        hold                        # an access to a device
        sti
        movw $COM1 + 5, %dx
        hold
        sti
        in_shadow
        inb %dx, %al
        behind
        nop

        hold                        # a move to a control register
        sti
        in_shadow
        movq %r11, %cr3
        behind
        nop

        hold                        # an exception, through a gate that leaves interrupts on
        sti
        in_shadow
        int3
        behind
        nop

        hold                        # iterations: only the first is in the shadow
        movl $5, %ecx
        movq %r10, %rdi
        sti
string: rep stosb
        behind
        nop

        hold                        # MOV SS before POPF, which casts none
        pushq $0x202
        movl %r9d, %ss
        in_shadow
        popfq
        behind
        nop

        movl %r9d, %ss              # MOV SS with interrupts on
        in_shadow
        nop

        hold                        # the shadow's instruction is on another page
        jmp end_of_page
next_page:
        behind
        nop

        cli
        cmpl $INTERRUPTS, interrupts(%rip)
        jb again

        say "in a shadow "
        leaq shadows(%rip), %rdi
        leaq behinds(%rip), %rcx
        movl violations(%rip), %eax
1:      addq 8(%rdi), %rax
        addq $16, %rdi
        cmpq %rcx, %rdi
        jb 1b
        call print_number
        say ", never behind "
        leaq behinds(%rip), %rdi
        leaq tables_end(%rip), %rcx
        xorl %eax, %eax
1:      cmpq $1, 8(%rdi)
        adcl $0, %eax
        addq $16, %rdi
        cmpq %rcx, %rdi
        jb 1b
        call print_number
        say "\n"
        jmp power_off

function:
        behind
        ret

breakpoint:
        behind
        iretq

timer:  pushq %rax
        pushq %rbx
        pushq %rdx
        movq 24(%rsp), %rax
        leaq string(%rip), %rbx
        cmpq %rbx, %rax
        jne 1f
        cmpq $5, %rcx
        jne 1f
        incl violations(%rip)
1:      leaq shadows(%rip), %rbx
        leaq tables_end(%rip), %rdx
2:      cmpq %rax, (%rbx)
        jne 3f
        incq 8(%rbx)
3:      addq $16, %rbx
        cmpq %rdx, %rbx
        jb 2b
        incl interrupts(%rip)
        movb $0x20, %al
        outb %al, $0x20
        popq %rdx
        popq %rbx
        popq %rax
        iretq

interrupts: .long 0
violations: .long 0
round:      .long 0
scratch:    .quad 0

        .balign 4096
        .skip 4095
end_of_page:
        sti
        in_shadow
        jmp next_page
