/* program.h: what an ahead-of-time program is made of, as constant data.
 *
 * The compiler writes one poa_program into the program (codegen/aot.h), with the plans
 * it refers to, the kernels, and perhaps the weights; a `main` of one line hands it to
 * poa_features_main or poa_training_main, which know nothing of the compiler.
 *
 *   entries: "features" at width=64,depth=3 for 1 image;  the same for 16;
 *            "features" at width=128,depth=6 for 1 image; ..
 *
 * Nothing here is owned: all of it lives as long as the program. */
#ifndef POA_PROGRAM_PROGRAM_H
#define POA_PROGRAM_PROGRAM_H

#include "runtime/lattice.h"
#include "runtime/normalization.h"
#include "runtime/plan.h"

/* Code for one kind of CPU. A program with several takes the first that can run. */
typedef struct poa_program_variant {
  const char *cpu;      /* as the compiler was told, "x86-64-v3" */
  const char *features; /* what its code may use, LLVM's "+avx2,+fma,-sse4a" */
} poa_program_variant;

/* An entry compiled at a point of the lattice. */
typedef struct poa_program_entry {
  const char *entry;  /* "features", "step" */
  poa_point point;    /* all zero where the lattice has no names */
  int variant;        /* index of the variant that its kernels are for */
  int64_t batch;      /* features: images a run takes; else 0 */
  int64_t parameters; /* features: of the sub-network */
  double flops;       /* features: of one image, two per multiply-add of a product */
  const poa_plan *plan;
} poa_program_entry;

typedef struct poa_program {
  const char *version;       /* of the poa that made it */
  const char *model;         /* the description, as the compiler was given it */
  const char *model_path;    /* the file that was found, for reports */
  const char *overrides;     /* "K=V,K=V", the constants that were set */
  const char *source;        /* where the weights are from; "" if from nowhere */
  poa_lattice lattice;       /* of the description, also where only some points are compiled */
  const char *normalization; /* of images (normalization.h); "" if unknown */
  int variant_count, entry_count;
  const poa_program_variant *variants; /* best first */
  const poa_program_entry *entries;    /* of one variant after the other */
  const void *weights; /* the parameter space of the plans; NULL: in a file beside it */
  int64_t weight_bytes;
  const char *weights_file; /* its name, without folder, where `weights` is NULL; "" if none */
  /* Training: the constant `steps` as compiled, at least 1; 0 if the model has none. */
  double steps;
  /* Whether another number of steps only changes source arguments, by their `per_step`. */
  bool steps_vary;
  bool bf16;          /* training: products in bf16 */
  double eval_images; /* training: images that evaluation asks at most; 0: all */
} poa_program;

/* Computes features of images; see `--help`. Returns the exit status. */
int poa_features_main(const poa_program *program, int argc, char **argv);
/* Trains; the command line of `poa train` without MODEL. Returns the exit status. */
int poa_training_main(const poa_program *program, int argc, char **argv);

#endif
