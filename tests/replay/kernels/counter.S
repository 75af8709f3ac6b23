# Counts in memory, at 0x200000, up to ROUNDS while a timer interrupts it and counts at 0x200008; both count in the
# function `count`. Now and then it waits for the timer. Then it switches the machine off.
        .set RELOAD, 200
        .set ROUNDS, 400000
        .set COUNTER, 0x200000
        .set TICKS, 0x200008

        .include "entry.inc"

main:   sti
1:      movq $COUNTER, %rdi
        call count
        testl $1023, COUNTER
        jnz 2f
        hlt
2:      cmpl $ROUNDS, COUNTER
        jb 1b
        jmp power_off

count:  incq (%rdi)
        ret

timer:  pushq %rax
        pushq %rdi
        movq $TICKS, %rdi
        call count
        movb $0x20, %al
        outb %al, $0x20
        popq %rdi
        popq %rax
        iretq
