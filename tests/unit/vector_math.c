/* The polynomials of codegen/vector_math.c against libm's double functions, for every
 * vector width and for CPUs with and without FMA. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "codegen/emit.h"

#define STRIDE 16381 /* of the bit patterns swept; prime, so that all exponents are met */
#define BLOCK 4096

typedef struct function {
  const char *name;
  LLVMValueRef (*emit)(poa_emitter *e, LLVMValueRef x);
  double (*exact)(double x);
  double max_ulp;      /* stated in codegen/vector_math.c, over all floats */
  double max_argument; /* beyond it the result is NaN */
} function;

static const function functions[] = {
    {"exp", poa_emit_exp, exp, 1.2, INFINITY}, {"log", poa_emit_log, log, 0.9, INFINITY},
    {"erf", poa_emit_erf, erf, 1.2, INFINITY}, {"tanh", poa_emit_tanh, tanh, 1.45, INFINITY},
    {"sin", poa_emit_sin, sin, 1.6, 0x1p28},   {"cos", poa_emit_cos, cos, 1.6, 0x1p28},
};

#define FUNCTION_COUNT ((int)(sizeof functions / sizeof *functions))

typedef struct map {
  const function *function;
  int lanes;
} map;

/* y[i] = f(x[i]), `lanes` at a time. */
static poa_status emit_map(poa_emitter *e, const void *description, const char *symbol,
                           poa_error *error) {
  (void)error;
  const map *m = description;
  LLVMTypeRef type = emit_vector_type(e->f32, m->lanes);
  poa_emit_kernel(e, symbol);
  LLVMValueRef x = emit_buffer(e, 0), y = emit_buffer(e, 1);
  poa_emit_loop i = poa_emit_loop_begin(e, emit_first(e), emit_last(e), emit_index(e, m->lanes));
  LLVMValueRef value = emit_load(e, type, emit_at(e, e->f32, x, i.index), 4);
  emit_store(e, m->function->emit(e, value), emit_at(e, e->f32, y, i.index), 4);
  poa_emit_loop_end(e, &i);
  emit_return(e);
  return POA_OK;
}

/* Distance in units of the last place of the exact value; infinite if one is not a number
 * or an infinity and the other is not. */
static double distance(float got, double exact) {
  if (isnan(exact) || isnan(got))
    return isnan(exact) && isnan(got) ? 0 : INFINITY;
  if (isinf((float)exact) || isinf(got))
    return (float)exact == got ? 0 : INFINITY;
  int exponent;
  frexp(exact, &exponent);
  return fabs((double)got - exact) / ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

static bool is_good(const function *f, float x, float got) {
  double exact = f->exact((double)x);
  if (!isnan(x) && fabs((double)x) > f->max_argument)
    return isnan(got);
  if (strcmp(f->name, "exp") == 0 && exact < 0x1p-126)
    return got == 0;
  return distance(got, exact) <= f->max_ulp;
}

static void sweep(poa_kernel_fn kernel, const function *f, const char *cpu, int lanes) {
  float x[BLOCK], y[BLOCK];
  for (uint64_t from = 0; from < UINT64_C(1) << 32; from += (uint64_t)STRIDE * BLOCK) {
    for (uint64_t i = 0; i < BLOCK; ++i) {
      uint32_t bits = (uint32_t)(from + i * STRIDE);
      memcpy(&x[i], &bits, sizeof bits);
    }
    kernel((void *[]){x, y}, 0, BLOCK);
    for (int i = 0; i < BLOCK; ++i)
      cr_assert(is_good(f, x[i], y[i]), "%s x%d: %s(%a) = %a, not %a", cpu, lanes, f->name,
                (double)x[i], (double)y[i], f->exact((double)x[i]));
  }
}

/* False if this machine cannot run code for `cpu`. */
static bool open_library(poa_kernel_library **library, const char *cpu) {
  poa_target target;
  poa_error error = {0};
  poa_status status = poa_target_init(&target, cpu, &error);
  if (status == POA_OK)
    cr_assert_eq(poa_kernel_library_create(library, &target, NULL, &error), POA_OK);
  poa_target_free(&target);
  return status == POA_OK;
}

static void sweep_all(const char *cpu) {
  static const int widths[] = {1, 4, 8, 16};
  poa_kernel_library *library;
  if (!open_library(&library, cpu))
    return;
  for (int i = 0; i < FUNCTION_COUNT; ++i)
    for (int j = 0; j < 4; ++j) {
      map description = {&functions[i], widths[j]};
      char key[32];
      snprintf(key, sizeof key, "%s %d", functions[i].name, widths[j]);
      poa_kernel_request request = {key, emit_map, &description};
      poa_kernel_fn kernel;
      poa_error error = {0};
      cr_assert_eq(poa_kernel_library_get(library, &request, 1, &kernel, &error), POA_OK, "%s",
                   error.message);
      sweep(kernel, &functions[i], cpu, widths[j]);
    }
  poa_kernel_library_free(library);
}

/* Protects: the errors stated, without FMA. */
Test(vector_math, is_accurate_on_x86_64) {
  sweep_all("x86-64");
}

/* Protects: the errors stated, with AVX2 and FMA. */
Test(vector_math, is_accurate_on_x86_64_v3) {
  sweep_all("x86-64-v3");
}

/* Protects: the errors stated, with AVX-512. */
Test(vector_math, is_accurate_on_x86_64_v4) {
  sweep_all("x86-64-v4");
}

/* Protects: the errors stated, on whatever this machine is. */
Test(vector_math, is_accurate_on_this_machine) {
  sweep_all("native");
}

static float from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* Protects: the edges of each range, infinities, denormals, and NaN with any payload. */
Test(vector_math, special_values) {
  const float x[] = {0.0f,
                     -0.0f,
                     INFINITY,
                     -INFINITY,
                     NAN,
                     from_bits(0x7f800001),
                     from_bits(0x7fc001ff),
                     from_bits(0xffffffff),
                     from_bits(1),
                     from_bits(0x807fffff),
                     0x1p-126f,
                     -1.0f,
                     1.0f,
                     from_bits(0x42b17217), /* the last finite exp */
                     from_bits(0x42b17218),
                     from_bits(0xc2aeac4f), /* the last normal exp */
                     from_bits(0xc2aeac50),
                     from_bits(0x3f570a3d), /* the ranges of erf and tanh meet */
                     from_bits(0x3f570a3e),
                     0.6f,
                     4.0f,
                     -9.1f,
                     0x1p28f,
                     0x1.000002p28f};
  enum { COUNT = sizeof x / sizeof *x };
  poa_kernel_library *library;
  cr_assert(open_library(&library, NULL));
  for (int i = 0; i < FUNCTION_COUNT; ++i) {
    map description = {&functions[i], 4};
    poa_kernel_request request = {functions[i].name, emit_map, &description};
    poa_kernel_fn kernel;
    float y[COUNT];
    cr_assert_eq(poa_kernel_library_get(library, &request, 1, &kernel, NULL), POA_OK);
    kernel((void *[]){(void *)x, y}, 0, COUNT);
    for (int j = 0; j < COUNT; ++j)
      cr_assert(is_good(&functions[i], x[j], y[j]), "%s(%a) = %a, not %a", functions[i].name,
                (double)x[j], (double)y[j], functions[i].exact((double)x[j]));
  }
  poa_kernel_library_free(library);
}

/* The kernel's assembly, to be freed with LLVMDisposeMemoryBuffer. */
static LLVMMemoryBufferRef assemble(const poa_target *target, const function *f, int lanes) {
  poa_error error = {0};
  poa_emitter e;
  map description = {f, lanes};
  LLVMTargetMachineRef machine = poa_target_machine(target, &error);
  poa_emitter_init(&e, target, machine);
  cr_assert_eq(emit_map(&e, &description, "kernel", &error), POA_OK);
  LLVMMemoryBufferRef text;
  char *message = NULL;
  cr_assert_not(
      LLVMTargetMachineEmitToMemoryBuffer(machine, e.module, LLVMAssemblyFile, &message, &text));
  poa_emitter_free(&e);
  LLVMDisposeTargetMachine(machine);
  return text;
}

/* Protects: no function of a library is called, on any CPU: fifty times slower, and other
 * bits on other machines. */
Test(vector_math, calls_nothing) {
  static const char *const names[] = {"x86-64", "x86-64-v3", "x86-64-v4", "native"};
  for (int i = 0; i < 4; ++i) {
    poa_target target;
    poa_error error = {0};
    if (poa_target_init(&target, names[i], &error) != POA_OK)
      continue;
    for (int j = 0; j < FUNCTION_COUNT; ++j) {
      LLVMMemoryBufferRef text = assemble(&target, &functions[j], target.vector_lanes);
      cr_assert_null(strstr(LLVMGetBufferStart(text), "call"), "%s on %s", functions[j].name,
                     names[i]);
      LLVMDisposeMemoryBuffer(text);
    }
    poa_target_free(&target);
  }
}
