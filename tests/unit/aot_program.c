/* aot_program.c: a program made ahead of time holds what was put into it. */
#include "aot_fixture.h"
#include "support/program_text.h"

#define SOURCES POA_TESTS_DIR "/.."

TestSuite(aot_program, .init = setup, .fini = teardown);

/* A plan of one call of an external function, and an input from a source with arguments. */
static poa_lowered call_of_swish(void) {
  static const poa_plan_argument arguments[] = {{POA_ARGUMENT_POINTER, 0, 0},
                                                {POA_ARGUMENT_DOUBLE, 0, 1.75}};
  static const poa_plan_external external = {"swish", 2, arguments};
  static const poa_plan_buffer buffer = {POA_SPACE_ARENA, 64, 48};
  static const poa_plan_source_argument source_arguments[] = {{"from", 1.5, NULL, 0.25},
                                                              {"kind", 0, "cosine", 0}};
  static poa_plan_launch launch = {.external = &external,
                                   .buffer_count = 1,
                                   .buffers = &buffer,
                                   .tiles = 1,
                                   .barrier = true,
                                   .label = "external swish",
                                   .family = "external"};
  static const poa_plan_input input = {.name = "rate",
                                       .shape = {1, {12}},
                                       .buffer = {POA_SPACE_ARENA, 64, 48},
                                       .source = "schedule",
                                       .argument_count = 2,
                                       .arguments = source_arguments,
                                       .use = 7};
  static poa_plan plan = {.entry = "features",
                          .arena_bytes = 128,
                          .launch_count = 1,
                          .input_count = 1,
                          .launches = &launch,
                          .inputs = &input};
  static poa_kernel_request request;
  return (poa_lowered){.plan = &plan, .launches = &launch, .requests = &request};
}

/* Protects every structure that goes into a program: what its main is given, printed, is what
 * was put in, printed. */
Test(aot_program, holds_what_was_put_in) {
  poa_error error = {0};
  poa_lowered lowered[] = {lower(parse(two_layers), &target), lower(parse(one_step), &target),
                           call_of_swish()};
  float *weights = made_up(512, 3);
  poa_program_variant variant = {.cpu = target.cpu, .features = target.features};
  poa_program_entry entries[] = {
      {"features", {{64, 3}}, 0, 4, 12345, 6.5e9, lowered[0].plan},
      {"step", {{128, 6}}, 0, 0, 0, 0, lowered[1].plan},
      {"call", {{128, 6}}, 0, 0, 0, 0, lowered[2].plan},
  };
  poa_program program = {.version = "1.2.3",
                         .model = "a \"model\"",
                         .model_path = "models/a.poa",
                         .overrides = "a=1,b=2",
                         .source = "",
                         .lattice = {2, {{"width", 64, 128, 32}, {"depth", 3, 6, 1}}, 2.5},
                         .normalization = "0.25/0.5",
                         .variant_count = 1,
                         .entry_count = 3,
                         .variants = &variant,
                         .entries = entries,
                         .weights = weights,
                         .weight_bytes = 2048,
                         .weights_file = "",
                         .steps = 950,
                         .steps_vary = true,
                         .eval_images = 512};
  poa_aot_program aot = {&program, lowered, &target, "print_main"};
  int count = 0;
  cr_assert_eq(poa_aot_program_write(&aot, in_folder("program"), &count, &error), POA_OK, "%s",
               error.message);
  static const char main_text[] =
      "#include \"support/program_text.h\"\n"
      "int print_main(const poa_program *program, int argc, char **argv);\n"
      "int print_main(const poa_program *program, int argc, char **argv) {\n"
      "  (void)argv;\n"
      "  if ((uintptr_t)program->weights % 4096) return 3;\n"
      "  poa_print_program(program, stdout);\n"
      "  return argc == 2 ? 0 : 2;\n"
      "}\n";
  write_file("print.c", main_text, strlen(main_text));
  const char *argv[64] = {"cc",
                          "-I" SOURCES,
                          "-I" SOURCES "/include",
                          "-I" POA_TESTS_DIR,
                          in_folder("print.c"),
                          POA_TESTS_DIR "/support/program_text.c",
                          "-o",
                          in_folder("print")};
  for (int i = 0; i < count; i++)
    argv[8 + i] = in_folder(poa_arena_format(arena, "program-%d.o", i));
  const char *run[] = {in_folder("print"), "an argument", NULL};
  cr_assert_eq(poa_tool_run(argv, NULL), 0, "the program does not link");
  cr_assert_eq(poa_tool_run(run, in_folder("found")), 0);
  /* Kernels are not there before they are compiled. */
  for (int i = 0; i < 2; i++)
    for (int k = 0; k < lowered[i].plan->launch_count; k++)
      memset(&lowered[i].launches[k].kernel, 1, sizeof lowered[i].launches[k].kernel);
  FILE *out = fopen(in_folder("expected"), "w");
  poa_print_program(&program, out);
  fclose(out);
  size_t found_size, expected_size;
  char *found = read_file("found", &found_size), *expected = read_file("expected", &expected_size);
  cr_assert_gt(expected_size, 1000);
  cr_assert_str_eq(found, expected);
  free(found);
  free(expected);
  free(weights);
}
