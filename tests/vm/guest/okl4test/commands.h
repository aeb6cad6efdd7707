/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * commands.h - the subcommands of okl4test; each takes the arguments after its name
 */
#ifndef OKL4TEST_COMMANDS_H
#define OKL4TEST_COMMANDS_H

/** argument() - the value of KEY=VALUE among @argv; Return: it, or @fallback */
const char *argument(char **argv, const char *key, const char *fallback);

/** cmd_stream() - move a pattern in one or both directions, with SHA-256 of what was moved */
int cmd_stream(char **argv);

/** cmd_seq() - records with sequence numbers through an echo: order, loss, doubling */
int cmd_seq(char **argv);

/** cmd_peer() - carry out measuring commands from stdin over one open target */
int cmd_peer(char **argv);

/** cmd_row() - one row of the table of the fifo's behaviour */
int cmd_row(char **argv);

/** cmd_compare() - where a channel behaves differently from a fifo of Linux */
int cmd_compare(char **argv);

/** cmd_sleepers() - sleep on a channel in every way while its device goes and comes back */
int cmd_sleepers(char **argv);

/** cmd_failing() - open a channel with each of its allocations failing once */
int cmd_failing(char **argv);

/** cmd_crowd() - many writers and readers on a channel: each record once, in order, in one piece */
int cmd_crowd(char **argv);

/** cmd_churn() - make, open, use, close and unlink a node in many threads */
int cmd_churn(char **argv);

/** cmd_faulting() - a write that sleeps until its memory is there */
int cmd_faulting(char **argv);

/** cmd_evil() - misbehave on the device */
int cmd_evil(char **argv);

/** cmd_many() - bytes through the echoes behind all nodes of a directory at once */
int cmd_many(char **argv);

/** cmd_hold() - keep all nodes of a directory open, with a sleeping reader each if asked to */
int cmd_hold(char **argv);

/** cmd_gone() - an open file while the host removes its channel and adds it again */
int cmd_gone(char **argv);

/** cmd_gone_asleep() - a reader, a writer and a poller asleep when the host removes the channel */
int cmd_gone_asleep(char **argv);

#endif
