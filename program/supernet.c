/* supernet.c: see supernet.h. */
#include "program/supernet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void free_program(poa_program_at *program) {
  if (program->owned)
    free((void *)(uintptr_t)program->plan);
  poa_arena_free(program->unlinked);
  free(program);
}

void poa_supernet_close(poa_supernet *net) {
  for (poa_program_at *program = net->programs; program; program = program->next)
    poa_prepared_free(program->prepared);
  poa_executor_free(net->executor);
  poa_parameter_store_free(net->store);
  for (poa_program_at *program = net->programs, *next; program; program = next) {
    next = program->next;
    free_program(program);
  }
  *net = (poa_supernet){0};
}

static poa_program_at *find(const poa_supernet *net, const char *entry, const poa_point *point,
                            bool probes) {
  for (poa_program_at *p = net->programs; p; p = p->next)
    if (strcmp(p->entry, entry) == 0 && p->probes == probes &&
        poa_point_equal(net->lattice, &p->point, point))
      return p;
  return NULL;
}

poa_program_at *poa_supernet_find(const poa_supernet *net, const char *entry,
                                  const poa_point *point) {
  return find(net, entry, point, false);
}

/* A program with a plan; the network is not changed. */
static poa_status make(const poa_supernet *net, const char *entry, const poa_point *point,
                       bool probes, poa_program_at **program, poa_error *error) {
  *program = NULL;
  poa_program_at *made = calloc(1, sizeof *made);
  if (!made)
    return poa_fail(error, POA_NO_MEMORY, "no memory for the entry '%s'", entry);
  snprintf(made->entry, sizeof made->entry, "%s", entry);
  made->point = *point;
  made->probes = probes;
  poa_status status = net->make(net->context, made, error);
  if (status)
    free_program(made);
  else
    *program = made;
  return status;
}

poa_status poa_supernet_make(const poa_supernet *net, const char *entry, const poa_point *point,
                             poa_program_at **program, poa_error *error) {
  poa_status status = make(net, entry, point, false, program, error);
  if (status == POA_OK && (*program)->unlinked)
    status = net->link(net->context, *program, error);
  if (status && *program) {
    free_program(*program);
    *program = NULL;
  }
  return status;
}

void poa_supernet_adopt(poa_supernet *net, poa_program_at *program) {
  program->next = net->programs;
  net->programs = program;
}

poa_status poa_supernet_plan(poa_supernet *net, const char *entry, const poa_point *point,
                             bool probes, poa_program_at **program, poa_error *error) {
  *program = find(net, entry, point, probes);
  if (*program)
    return POA_OK;
  poa_status status = make(net, entry, point, probes, program, error);
  if (status)
    return status;
  poa_supernet_adopt(net, *program); /* its plan's parameters are the store's from here on */
  return net->store ? POA_OK : poa_parameter_store_create(&net->store, (*program)->plan, error);
}

poa_status poa_supernet_link(poa_supernet *net, poa_program_at *program, poa_error *error) {
  return program->unlinked ? net->link(net->context, program, error) : POA_OK;
}

poa_status poa_supernet_program(poa_supernet *net, const char *entry, const poa_point *point,
                                bool probes, poa_program_at **program, poa_error *error) {
  poa_status status = poa_supernet_plan(net, entry, point, probes, program, error);
  return status ? status : poa_supernet_link(net, *program, error);
}

poa_status poa_supernet_prepare(poa_supernet *net, poa_program_at *program, poa_error *error) {
  if (program->prepared)
    return POA_OK;
  return poa_executor_prepare(net->executor, program->plan, net->store, &program->prepared, error);
}

const poa_plan_output *poa_plan_find_output(const poa_plan *plan, const char *name) {
  for (int i = 0; i < plan->output_count; i++)
    if (strcmp(plan->outputs[i].name, name) == 0)
      return &plan->outputs[i];
  return NULL;
}
