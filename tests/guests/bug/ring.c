// SPDX-License-Identifier: MIT
/*
 * ring: measures how late timer interrupts come. Every TICK_NS a timer callback notes the time and how late it
 * is; a thread takes these samples away in batches, at random intervals, and counts them by lateness; reading
 * /dev/ring prints the counts.
 *
 * This module has a bug, planted for the story of how Hindsight finds one. Most runs of its guest end well; 4 of
 * the seeds 1 to 60 panic (`prepare` says how they were tried). They do so in ring_show(), in whatever process
 * reads /dev/ring, because a pointer in the table of counts is none. Nothing is wrong with ring_show().
 *
 * The answer: ring_swap() gives the timer another batch, and only afterwards sets ring.fill, the index of the next
 * sample in it, back to 0. The lock around both does not keep the timer interrupt out (spin_lock_irqsave() would,
 * on the one CPU there is). A tick between the two stores uses the old index with the new batch. If the old batch
 * is a long one and the new one short, the index may be beyond its end, which the test for equality in ring_tick()
 * lets pass: the sample's two words go to the heap object behind the batch, mostly a leaf of the table of counts,
 * in place of two of its pointers. So `batch->samples[ring.fill].when = ...` in ring_tick() is the corrupting write,
 * and the address that the panic complains about is the time at which it was made. A few instructions later
 * ring.fill is 0 and everything looks right, until the next reader.
 */
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/random.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#define TICK_NS 100000
#define DRAIN_LEAST_NS 300000 /* between two drains: this, and up to as much as the spread more */
#define DRAIN_SPREAD_NS 1100000
#define SHORT_DRAIN_NS 600000 /* up to here a short batch will do */
#define SHORT_BATCH 7
#define LONG_BATCH 15

#define LEAVES 256
#define LEAF_SIZE 16
#define COUNT_STEP_NS 16

struct sample {
	u64 when; /* since boot, in ns */
	u64 late; /* ns */
};

struct batch {
	u64 worst; /* the latest of its samples, in ns */
	u32 capacity;
	u32 count;
	struct sample samples[];
};

/* Samples of one lateness. */
struct bucket {
	u64 hits;
	u64 first, last; /* when */
};

struct leaf {
	struct bucket *bucket[LEAF_SIZE];
};

struct ring {
	struct hrtimer timer;
	struct task_struct *thread;
	struct batch *filling; /* what the timer fills */
	u32 fill; /* where in it */
	u64 lost; /* samples that found their batch full */
	spinlock_t lock; /* between the thread and readers: lost, counts */
	struct batch *spare[2][2]; /* short, long; one is filled while the other is counted */
	unsigned int turn;
	struct leaf *leaf[LEAVES]; /* counts by lateness, COUNT_STEP_NS wide each */
};

static struct ring ring;

/* With interrupts off, so nothing comes between, and it needs no lock. */
static enum hrtimer_restart ring_tick(struct hrtimer *timer)
{
	struct batch *batch = ring.filling;
	ktime_t now = hrtimer_cb_get_time(timer);

	if (ring.fill == batch->capacity) {
		ring.lost++;
	} else {
		batch->samples[ring.fill].when = ktime_to_ns(now);
		batch->samples[ring.fill].late = ktime_to_ns(ktime_sub(now, hrtimer_get_expires(timer)));
		ring.fill++;
	}
	hrtimer_forward(timer, now, TICK_NS);
	return HRTIMER_RESTART;
}

static u64 ring_worst(const struct batch *batch)
{
	u64 worst = 0;
	u32 i;

	for (i = 0; i < batch->count; i++)
		worst = max(worst, batch->samples[i].late);
	return worst;
}

/* Gives the timer `fresh` to fill, and returns what it filled until now. */
static noinline struct batch *ring_swap(struct batch *fresh)
{
	struct batch *full = ring.filling;

	spin_lock(&ring.lock);
	WRITE_ONCE(ring.filling, fresh);
	full->count = READ_ONCE(ring.fill);
	full->worst = ring_worst(full);
	WRITE_ONCE(ring.fill, 0);
	spin_unlock(&ring.lock);
	return full;
}

static struct bucket *ring_bucket(u64 late)
{
	u64 index = min_t(u64, late / COUNT_STEP_NS, LEAVES * LEAF_SIZE - 1);

	return ring.leaf[index / LEAF_SIZE]->bucket[index % LEAF_SIZE];
}

static noinline void ring_count(const struct batch *batch)
{
	u32 i;

	spin_lock(&ring.lock);
	for (i = 0; i < batch->count; i++) {
		const struct sample *sample = &batch->samples[i];
		struct bucket *bucket = ring_bucket(sample->late);

		if (bucket->hits++ == 0)
			bucket->first = sample->when;
		bucket->last = sample->when;
	}
	spin_unlock(&ring.lock);
}

/* Now and then, at random, lest it keeps step with what it measures. */
static int ring_drain(void *unused)
{
	while (!kthread_should_stop()) {
		u32 pause = DRAIN_LEAST_NS + get_random_u32() % DRAIN_SPREAD_NS;
		struct batch *fresh = ring.spare[pause > SHORT_DRAIN_NS][ring.turn ^= 1];
		ktime_t wait = pause;

		ring_count(ring_swap(fresh));
		set_current_state(TASK_IDLE);
		schedule_hrtimeout(&wait, HRTIMER_MODE_REL);
	}
	return 0;
}

static int ring_show(struct seq_file *out, void *unused)
{
	u64 step = 0;
	int i, j;

	spin_lock(&ring.lock);
	seq_printf(out, "%llu lost\n", ring.lost);
	for (i = 0; i < LEAVES; i++) {
		for (j = 0; j < LEAF_SIZE; j++, step++) {
			const struct bucket *bucket = ring.leaf[i]->bucket[j];

			if (bucket->hits)
				seq_printf(out, "%llu ns late: %llu, %llu to %llu\n", step * COUNT_STEP_NS, bucket->hits,
					   bucket->first, bucket->last);
		}
	}
	spin_unlock(&ring.lock);
	return 0;
}

static int ring_open(struct inode *inode, struct file *file)
{
	file->private_data = NULL; /* misc_open() left the device there, and seq_open() wants the place */
	return single_open(file, ring_show, NULL);
}

static const struct file_operations ring_operations = {
	.owner = THIS_MODULE,
	.open = ring_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
};

static struct miscdevice ring_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ring",
	.fops = &ring_operations,
};

static struct batch *batch_create(u32 capacity)
{
	struct batch *batch = kzalloc(struct_size(batch, samples, capacity), GFP_KERNEL);

	if (batch)
		batch->capacity = capacity;
	return batch;
}

static struct leaf *leaf_create(void)
{
	struct leaf *leaf = kzalloc(sizeof(*leaf), GFP_KERNEL);
	int i;

	for (i = 0; leaf && i < LEAF_SIZE; i++) {
		leaf->bucket[i] = kzalloc(sizeof(struct bucket), GFP_KERNEL);
		if (!leaf->bucket[i])
			return NULL;
	}
	return leaf;
}

/* What cannot be had at boot will not be had later: nothing is given back but by a restart. */
static int ring_create(void)
{
	int i;

	for (i = 0; i < LEAVES; i++) {
		ring.leaf[i] = leaf_create();
		if (!ring.leaf[i])
			return -ENOMEM;
		/* Amid the leaves, so that counting a batch touches few pages. */
		if (i < LEAVES / 2 - 2 || i >= LEAVES / 2 + 2)
			continue;
		ring.spare[i & 1][i / 2 & 1] = batch_create(i & 1 ? LONG_BATCH : SHORT_BATCH);
		if (!ring.spare[i & 1][i / 2 & 1])
			return -ENOMEM;
	}
	return 0;
}

static int __init ring_init(void)
{
	int failed = ring_create();

	if (failed)
		return failed;
	spin_lock_init(&ring.lock);
	ring.filling = ring.spare[1][0];
	failed = misc_register(&ring_device);
	if (failed)
		return failed;
	ring.thread = kthread_run(ring_drain, NULL, "ring");
	if (IS_ERR(ring.thread)) {
		misc_deregister(&ring_device);
		return PTR_ERR(ring.thread);
	}
	hrtimer_init(&ring.timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	ring.timer.function = ring_tick;
	hrtimer_start(&ring.timer, TICK_NS, HRTIMER_MODE_REL);
	return 0;
}
module_init(ring_init);

MODULE_DESCRIPTION("Measures how late timer interrupts come");
MODULE_LICENSE("Dual MIT/GPL");
