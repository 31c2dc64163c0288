#include "program/program.h"
int poa_training_main(const poa_program *program, int argc, char **argv) {
  (void)program;
  (void)argc;
  (void)argv;
  return 1;
}
