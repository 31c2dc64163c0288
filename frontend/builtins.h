/* builtins.h: the functions behind the rows of builtins.c. */
#ifndef POA_FRONTEND_BUILTINS_H
#define POA_FRONTEND_BUILTINS_H

#include "frontend/elaborate.h"

#define POA_BUILTIN(name)                                                                          \
  poa_worth poa_builtin_##name(poa_elaborator *e, const poa_syntax *call, const poa_worth *a)

/* builtins.c: numbers, lists, states */
POA_BUILTIN(int);
POA_BUILTIN(max);
POA_BUILTIN(min);
POA_BUILTIN(range);
POA_BUILTIN(keep);
POA_BUILTIN(length);
POA_BUILTIN(append);
POA_BUILTIN(state);
POA_BUILTIN(subset);

/* builtins_tensor.c: tensors; those of one operand also fold numbers */
POA_BUILTIN(abs);
POA_BUILTIN(cos);
POA_BUILTIN(erf);
POA_BUILTIN(exp);
POA_BUILTIN(floor);
POA_BUILTIN(log);
POA_BUILTIN(rsqrt);
POA_BUILTIN(sin);
POA_BUILTIN(sqrt);
POA_BUILTIN(tanh);
POA_BUILTIN(is_finite);
POA_BUILTIN(softmax);
POA_BUILTIN(log_softmax);
POA_BUILTIN(detach);
POA_BUILTIN(gradient);
POA_BUILTIN(f32);
POA_BUILTIN(i32);
POA_BUILTIN(where);
POA_BUILTIN(sum);
POA_BUILTIN(mean);
POA_BUILTIN(reduce_max);
POA_BUILTIN(argmax);
POA_BUILTIN(transpose);
POA_BUILTIN(reshape);
POA_BUILTIN(broadcast_to);
POA_BUILTIN(concat);
POA_BUILTIN(gather);
POA_BUILTIN(rearrange);
POA_BUILTIN(windows);
POA_BUILTIN(conv2d);
POA_BUILTIN(scatter_add);
POA_BUILTIN(iota);
POA_BUILTIN(full);
POA_BUILTIN(zeros);
POA_BUILTIN(ones);
POA_BUILTIN(shape);
POA_BUILTIN(size);
POA_BUILTIN(elements);

bool poa_was_given(const poa_worth *argument);
bool poa_to_integer(poa_elaborator *e, const poa_syntax *at, poa_worth value, int64_t *result);

#endif
