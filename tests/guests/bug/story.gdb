# The machine stands at the end of its history, in the panic. The processor raised the page fault that the kernel
# complains of; back to the last one (14 is its vector).
monitor stop-on exception 14
reverse-continue
# The module read a pointer that is none, before any handler ran.
backtrace 4
info locals
x/i $pc
# Nothing is wrong here: someone destroyed the table. Back to the last write to this very entry.
monitor unstop
watch -location ring.leaf[i]->bucket[j]
reverse-continue
# Found: the timer's interrupt wrote a sample, and not into its batch. The index is beyond the batch's end.
backtrace 3
print ring.fill
print batch->capacity
# How does an index get beyond the end? The batch must have changed under it: back to where it was exchanged.
delete
watch -location ring.filling
reverse-continue
print fresh->capacity
print ring.fill
# ring_swap() gives the timer the short batch while ring.fill is still the long one's; line 114 sets it to 0, but
# the tick comes first. Forwards to it, to see where it interrupts:
delete
tbreak ring_tick
continue
backtrace
