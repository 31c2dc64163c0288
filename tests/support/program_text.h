/* program_text.h: all that a program is made of, as text, so that what was written into one can be
 * compared with what is read back. Kernels are told from NULL only: addresses differ. */
#ifndef POA_TESTS_PROGRAM_TEXT_H
#define POA_TESTS_PROGRAM_TEXT_H

#include <stdio.h>

#include "program/program.h"

void poa_print_program(const poa_program *program, FILE *out);

#endif
