# The kernel of the golden traces: small, yet it needs most of the machine to go on computing as it did. From PVH's
# 32-bit entry it goes to 64-bit mode, takes the timer's and the serial port's interrupts, computes between them with
# integers, x87, SSE, strings and code that changes itself, and mixes everything, with clocks, into one sum. What is
# typed is echoed with the sum; a '.' switches the machine off. `record` builds it.
        .set COM1, 0x3f8
        .set PML4, 0x10000          # three pages of tables
        .set IDT, 0x20000
        .set BUFFER, 0x30000
        .set STACK, 0x80000
        .set GATES, 0x30

        .section .note.pvh, "a", @note
        .long 4, 4, 18              # the physical 32-bit entry
        .asciz "Xen"
        .long start

        .text
        .globl start
        .code32
start:  cld
        movl $STACK, %esp
        movl $PML4, %edi
        xorl %eax, %eax
        movl $3 * 1024, %ecx
        rep stosl
        movl $PML4 + 0x1003, PML4
        movl $PML4 + 0x2003, PML4 + 0x1000
        movl $PML4 + 0x2000, %edi   # eight pages of 2 MiB
        movl $0x83, %eax
        movl $8, %ecx
1:      movl %eax, (%edi)
        addl $0x200000, %eax
        addl $8, %edi
        loop 1b
        lgdt gdtr
        movl %cr4, %eax
        orl $0x220, %eax            # PAE, OSFXSR
        movl %eax, %cr4
        movl $PML4, %eax
        movl %eax, %cr3
        movl $0xc0000080, %ecx
        rdmsr
        orl $0x100, %eax            # LME
        wrmsr
        movl %cr0, %eax
        orl $0x80000022, %eax       # PG, NE, MP
        movl %eax, %cr0
        ljmp $8, $long_mode

        .code64
long_mode:
        movl $16, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        xorl %ebp, %ebp             # the sum
        xorl %r15d, %r15d           # ticks
        fninit

        movl $IDT, %edi
        movl $GATES, %ecx
        leaq fault(%rip), %rbx
1:      call gate
        loop 1b
        movl $IDT + 0x20 * 16, %edi
        leaq timer(%rip), %rbx
        call gate
        movl $IDT + 0x24 * 16, %edi
        leaq serial(%rip), %rbx
        call gate
        lidt idtr(%rip)

        leaq set_up(%rip), %rsi     # port, value; until port 0
1:      lodsw
        movzwl %ax, %edx
        lodsb
        testl %edx, %edx
        jz 2f
        outb %al, %dx
        jmp 1b
2:      leaq hello(%rip), %rsi
        call print

main:   sti
        hlt
        cli
        movl typed(%rip), %eax
        testl %eax, %eax
        jz main
        movl $0, typed(%rip)
        movzbl %al, %ebx
        call mix
        movl $0x71, %edx            # what the clock shows
        xorl %eax, %eax
        outb %al, $0x70
        inb $0x71, %al
        movl %eax, %ebx
        call mix
        rdtsc
        movl %eax, %ebx
        call mix
        leaq answer(%rip), %rsi
        call print
        movl $16, %ecx
1:      rolq $4, %rbp
        movl %ebp, %eax
        andl $15, %eax
        leaq digits(%rip), %rbx
        movb (%rbx, %rax), %al
        call put
        loop 1b
        movb $'\n', %al
        call put
        cmpb $'.', last(%rip)
        jne main
        leaq farewell(%rip), %rsi
        call print
        movw $0x604, %dx            # PM1a control: sleep type 5, enable
        movw $0x3400, %ax
        outw %ax, %dx
1:      jmp 1b

# A gate at RDI to RBX; RDI goes on.
gate:   movl %ebx, %eax
        movw %ax, (%rdi)
        movw $8, 2(%rdi)
        movw $0x8e00, 4(%rdi)
        shrl $16, %eax
        movw %ax, 6(%rdi)
        movq $0, 8(%rdi)
        addl $16, %edi
        ret

# RBX into the sum.
mix:    movabsq $0x9e3779b97f4a7c15, %rax
        xorq %rbx, %rbp
        imulq %rax, %rbp
        rorq $29, %rbp
        ret

print:  lodsb
        testb %al, %al
        jz 1f
        call put
        jmp print
1:      ret

put:    pushq %rax
        movw $COM1 + 5, %dx
1:      inb %dx, %al
        testb $0x20, %al
        jz 1b
        popq %rax
        movw $COM1, %dx
        outb %al, %dx
        ret

fault:  leaq oops(%rip), %rsi
        call print
1:      cli
        hlt
        jmp 1b

serial: pushq %rax
        pushq %rdx
        movw $COM1, %dx
        inb %dx, %al
        movb %al, last(%rip)
        orl $0x100, %eax
        movzwl %ax, %eax
        movl %eax, typed(%rip)
        movb $0x20, %al
        outb %al, $0x20
        popq %rdx
        popq %rax
        iretq

# Each tick computes another way.
timer:  pushq %rax
        pushq %rbx
        pushq %rcx
        pushq %rdx
        pushq %rsi
        pushq %rdi
        incl %r15d
        movl %r15d, %eax
        andl $3, %eax
        leaq ways(%rip), %rbx
        movslq (%rbx, %rax, 4), %rax
        addq %rbx, %rax
        call *%rax
        call mix
        movb $0x20, %al
        outb %al, $0x20
        popq %rdi
        popq %rsi
        popq %rdx
        popq %rcx
        popq %rbx
        popq %rax
        iretq
        .balign 4
ways:   .long strings - ways, floating - ways, vectors - ways, changing - ways

strings:
        movl $BUFFER, %edi
        movl %ebp, %eax
        movl $512, %ecx
        rep stosl
        movl $BUFFER, %esi
        movl $BUFFER + 0x7f1, %edi  # over a page's end
        movl $2048, %ecx
        rep movsb
        movl $BUFFER + 1, %edi
        movb $0x5a, %al
        movl $4096, %ecx
        repne scasb
        movl %ecx, %ebx
        pushfq
        popq %rax
        xorq %rax, %rbx
        ret

floating:
        movl %r15d, BUFFER
        fildl BUFFER
        fsqrt
        fldpi
        fmulp
        fsin
        fldl2e
        faddp
        fstpt BUFFER
        movq BUFFER, %rbx
        movq BUFFER + 8, %rax
        xorq %rax, %rbx
        ret

vectors:
        movq %rbp, %xmm0
        cvtsi2sdl %r15d, %xmm1
        movapd %xmm1, %xmm2
        sqrtsd %xmm1, %xmm1
        divsd %xmm1, %xmm2
        punpcklbw %xmm0, %xmm0
        pshufd $0x1b, %xmm0, %xmm3
        paddw %xmm3, %xmm0
        psadbw %xmm3, %xmm0
        rsqrtss %xmm1, %xmm4
        addpd %xmm2, %xmm0
        xorps %xmm4, %xmm0
        movq %xmm0, %rbx
        ret

# Writes the constant that it will add, and a page table entry's accessed bit away.
changing:
        movl %r15d, 1f - 4(%rip)
        movl $100, %ecx
        xorl %ebx, %ebx
2:      leal 0x12345678(%rbx, %rcx), %ebx
1:      rorl $3, %ebx
        loop 2b
        movq PML4 + 0x2008, %rax
        xorq %rax, %rbx
        andq $~0x60, PML4 + 0x2008
        movl 0x200000, %eax         # sets it again
        movq PML4 + 0x2008, %rax
        imulq %rax, %rbx
        ret

        .balign 8
gdt:    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdtr:   .word 23
        .long gdt
idtr:   .word GATES * 16 - 1
        .quad IDT
# Interrupt controllers: vectors 0x20 and 0x28, IRQ 0 and 4 open. Timer: mode 2, 1 kHz. Serial port: interrupt on
# receipt, through OUT2.
        .macro device port, value
        .word \port
        .byte \value
        .endm
set_up:
        device 0x20, 0x11
        device 0xa0, 0x11
        device 0x21, 0x20
        device 0xa1, 0x28
        device 0x21, 4
        device 0xa1, 2
        device 0x21, 1
        device 0xa1, 1
        device 0x21, 0xee
        device 0xa1, 0xff
        device 0x43, 0x34
        device 0x40, 0xa9
        device 0x40, 0x04
        device COM1 + 4, 0x0b
        device COM1 + 1, 1
        device 0, 0
hello:  .asciz "golden kernel\n> "
answer: .asciz "sum "
farewell:
        .asciz "bye\n"
oops:   .asciz "unexpected vector\n"
digits: .ascii "0123456789abcdef"
last:   .byte 0
        .balign 4
typed:  .long 0
