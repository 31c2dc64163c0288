/* plan_copy.c: copies a plan twice through the same code: once to count the bytes, once
 * into the block. */
#include "runtime/plan_copy.h"

#include <stdlib.h>
#include <string.h>

/* The block, or NULL while counting. */
typedef struct block {
  char *base;
  size_t used;
} block;

static void *put(block *b, const void *from, size_t bytes) {
  char *to = b->base ? b->base + b->used : NULL;
  if (to && bytes)
    memcpy(to, from, bytes);
  b->used += (bytes + 15) & ~(size_t)15;
  return to;
}

static const char *put_text(block *b, const char *text) {
  return text ? put(b, text, strlen(text) + 1) : NULL;
}

static const poa_plan_external *put_external(block *b, const poa_plan_external *external) {
  if (!external)
    return NULL;
  poa_plan_external copy = *external;
  copy.symbol = put_text(b, external->symbol);
  copy.arguments =
      put(b, external->arguments, (size_t)external->argument_count * sizeof *external->arguments);
  return put(b, &copy, sizeof copy);
}

static const poa_plan_launch *put_launches(block *b, const poa_plan *plan) {
  size_t bytes = (size_t)plan->launch_count * sizeof *plan->launches;
  poa_plan_launch *launches = put(b, plan->launches, bytes);
  for (int i = 0; i < plan->launch_count; i++) {
    poa_plan_launch launch = plan->launches[i];
    launch.external = put_external(b, launch.external);
    launch.buffers = put(b, launch.buffers, (size_t)launch.buffer_count * sizeof *launch.buffers);
    launch.label = put_text(b, launch.label);
    launch.family = put_text(b, launch.family);
    launch.branch = put_text(b, launch.branch);
    if (launches)
      launches[i] = launch;
  }
  return launches;
}

static const poa_plan_parameter *put_parameters(block *b, const poa_plan *plan) {
  size_t bytes = (size_t)plan->parameter_count * sizeof *plan->parameters;
  poa_plan_parameter *parameters = put(b, plan->parameters, bytes);
  for (int i = 0; i < plan->parameter_count; i++) {
    poa_plan_parameter parameter = plan->parameters[i];
    parameter.set = put_text(b, parameter.set);
    parameter.name = put_text(b, parameter.name);
    parameter.copy_of = put_text(b, parameter.copy_of);
    if (parameters)
      parameters[i] = parameter;
  }
  return parameters;
}

static const poa_plan_source_argument *put_arguments(block *b, const poa_plan_input *input) {
  size_t bytes = (size_t)input->argument_count * sizeof *input->arguments;
  poa_plan_source_argument *arguments = put(b, input->arguments, bytes);
  for (int i = 0; i < input->argument_count; i++) {
    poa_plan_source_argument argument = input->arguments[i];
    argument.name = put_text(b, argument.name);
    argument.text = put_text(b, argument.text);
    if (arguments)
      arguments[i] = argument;
  }
  return arguments;
}

static const poa_plan_input *put_inputs(block *b, const poa_plan *plan) {
  size_t bytes = (size_t)plan->input_count * sizeof *plan->inputs;
  poa_plan_input *inputs = put(b, plan->inputs, bytes);
  for (int i = 0; i < plan->input_count; i++) {
    poa_plan_input input = plan->inputs[i];
    input.name = put_text(b, input.name);
    input.source = put_text(b, input.source);
    input.arguments = put_arguments(b, &plan->inputs[i]);
    if (inputs)
      inputs[i] = input;
  }
  return inputs;
}

static const poa_plan_output *put_outputs(block *b, const poa_plan *plan) {
  size_t bytes = (size_t)plan->output_count * sizeof *plan->outputs;
  poa_plan_output *outputs = put(b, plan->outputs, bytes);
  for (int i = 0; i < plan->output_count; i++) {
    poa_plan_output output = plan->outputs[i];
    output.name = put_text(b, output.name);
    if (outputs)
      outputs[i] = output;
  }
  return outputs;
}

static poa_plan *put_plan(block *b, const poa_plan *plan) {
  poa_plan *copy = put(b, plan, sizeof *plan);
  poa_plan filled = *plan;
  filled.entry = put_text(b, plan->entry);
  filled.launches = put_launches(b, plan);
  filled.parameters = put_parameters(b, plan);
  filled.inputs = put_inputs(b, plan);
  filled.outputs = put_outputs(b, plan);
  if (copy)
    *copy = filled;
  return copy;
}

poa_plan *poa_plan_copy(const poa_plan *plan) {
  block count = {0};
  put_plan(&count, plan);
  block whole = {.base = malloc(count.used)};
  return whole.base ? put_plan(&whole, plan) : NULL;
}
