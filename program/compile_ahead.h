/* compile_ahead.h: plans made on a thread of their own while steps run, so that a step need not
 * wait for its kernels.
 *
 *   training:  take(a) | step at a ............... | take(b) | step at b ..
 *   its own:             b, then c, then d         |           e ..
 *
 * Steps are dealt from seed and number alone, so the points of the next ones are known. The thread
 * compiles one point at a time, on one core unless the training thread waits for it. A failure is
 * kept, and told to who takes that point. What has been made belongs to the network once it is
 * taken, or any other point is. */
#ifndef POA_PROGRAM_COMPILE_AHEAD_H
#define POA_PROGRAM_COMPILE_AHEAD_H

#include "program/supernet.h"

typedef struct poa_compile_ahead poa_compile_ahead;

enum { POA_AHEAD = 8 }; /* points that may be asked for ahead */

/* Starts the thread for plans of `entry` of `net`, whose plans nobody else may make until the end.
 * NULL in *ahead where plans need no making (net->link is NULL). */
poa_status poa_compile_ahead_create(poa_compile_ahead **ahead, poa_supernet *net, const char *entry,
                                    poa_error *error);
/* Ends the thread, when it is done with the point that it is at. */
void poa_compile_ahead_free(poa_compile_ahead *ahead);

/* From the next point on, `trace` gets when it was compiled; NULL: none does. */
void poa_compile_ahead_trace(poa_compile_ahead *ahead, poa_trace *trace);

/* The points of the next steps, soonest first, at most POA_AHEAD; they replace those asked for
 * before. */
void poa_compile_ahead_want(poa_compile_ahead *ahead, const poa_point *points, int count);
/* The program of a point, which is waited for; `waited` gets the seconds. */
poa_status poa_compile_ahead_take(poa_compile_ahead *ahead, const poa_point *point,
                                  poa_program_at **program, double *waited, poa_error *error);

#endif
