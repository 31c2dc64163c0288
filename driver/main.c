/* main.c: finds the sub-command and runs it. */
#include <stdio.h>
#include <string.h>

#include "driver/driver.h"
#include "runtime/openmp_start.h"

static int print_overview(FILE *out) {
  fprintf(out,
          "poa %s: pre-trains one elastic network and hands out models of all sizes\n\n"
          "usage: poa COMMAND ...\n\n",
          POA_VERSION);
  for (int i = 0; i < poa_command_count; i++)
    fprintf(out, "  %-8s %s\n", poa_commands[i].name, poa_commands[i].summary);
  fprintf(out, "  help     poa help COMMAND tells more\n  version  prints the version\n");
  return out == stdout ? 0 : 2;
}

static int unknown_command(const char *name) {
  const char *names[16];
  for (int i = 0; i < poa_command_count; i++)
    names[i] = poa_commands[i].name;
  const char *nearest = poa_nearest(name, names, poa_command_count);
  fprintf(stderr, "poa: there is no command '%s'%s%s%s; see: poa help\n", name,
          nearest ? ", did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
  return 2;
}

static int help(int argc, char **argv) {
  if (argc == 0)
    return print_overview(stdout);
  if (argc == 2 && strcmp(argv[0], "--man") == 0)
    return poa_write_manual(argv[1]);
  const poa_command *command = poa_find_command(argv[0]);
  if (!command)
    return unknown_command(argv[0]);
  printf("usage: %s\n\n%s.\n%s\n", command->usage, command->summary, command->help);
  poa_flags_describe(command, stdout);
  return 0;
}

static int run(const poa_command *command, int argc, char **argv) {
  poa_error error = {0};
  poa_flags flags;
  poa_arena *arena = poa_arena_create();
  if (!arena)
    poa_fail(&error, POA_NO_MEMORY, "out of memory");
  bool good = arena && !poa_flags_parse(command, argc, argv, arena, &flags, &error);
  int status = good ? command->run(&flags) : poa_report_failure(&error);
  poa_arena_free(arena);
  return good ? status : 2;
}

int main(int argc, char **argv) {
  poa_openmp_start();
  if (argc < 2)
    return print_overview(stderr);
  const char *name = argv[1];
  if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
    return help(argc - 2, argv + 2);
  if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
    printf("poa %s\n", POA_VERSION);
    return 0;
  }
  const poa_command *command = poa_find_command(name);
  if (!command)
    return unknown_command(name);
  for (int i = 2; i < argc; i++)
    if (strcmp(argv[i], "--help") == 0)
      return help(1, argv + 1);
  return run(command, argc - 1, argv + 1);
}
