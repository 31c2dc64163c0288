/* program_text.c: see program_text.h. Uses nothing but the headers, so that a test can compile it
 * into a program of its own. */
#include "support/program_text.h"

static void print_text(FILE *out, const char *what, const char *text) {
  fprintf(out, " %s=%s%s%s", what, text ? "'" : "", text ? text : "none", text ? "'" : "");
}

static void print_shape(FILE *out, poa_plan_shape shape) {
  fprintf(out, " [");
  for (int i = 0; i < shape.rank; i++)
    fprintf(out, " %lld", (long long)shape.dim[i]);
  fprintf(out, " ]");
}

static void print_buffer(FILE *out, poa_plan_buffer buffer) {
  fprintf(out, " %d@%lld+%lld", (int)buffer.space, (long long)buffer.offset,
          (long long)buffer.bytes);
}

static void print_external(FILE *out, const poa_plan_external *external) {
  print_text(out, "external", external->symbol);
  for (int i = 0; i < external->argument_count; i++)
    fprintf(out, " (%d %lld %.17g)", (int)external->arguments[i].kind,
            (long long)external->arguments[i].integer, external->arguments[i].real);
}

static void print_launch(FILE *out, const poa_plan_launch *launch) {
  fprintf(out, "  launch %s tiles=%lld barrier=%d flops=%.17g", launch->kernel ? "kernel" : "call",
          (long long)launch->tiles, launch->barrier, launch->flops);
  print_text(out, "label", launch->label);
  print_text(out, "family", launch->family);
  for (int i = 0; i < launch->buffer_count; i++)
    print_buffer(out, launch->buffers[i]);
  if (launch->external)
    print_external(out, launch->external);
  fputc('\n', out);
}

static void print_parameter(FILE *out, const poa_plan_parameter *parameter) {
  fprintf(out, "  parameter %lld %d %.17g", (long long)parameter->offset,
          (int)parameter->initializer, parameter->a);
  print_text(out, "set", parameter->set);
  print_text(out, "name", parameter->name);
  print_text(out, "copy_of", parameter->copy_of);
  print_shape(out, parameter->shape);
  fputc('\n', out);
}

static void print_input(FILE *out, const poa_plan_input *input) {
  fprintf(out, "  input %d use=%d", (int)input->dtype, input->use);
  print_text(out, "name", input->name);
  print_text(out, "source", input->source);
  print_shape(out, input->shape);
  print_buffer(out, input->buffer);
  for (int i = 0; i < input->argument_count; i++) {
    print_text(out, input->arguments[i].name, input->arguments[i].text);
    fprintf(out, " %.17g %.17g", input->arguments[i].value, input->arguments[i].per_step);
  }
  fputc('\n', out);
}

static void print_output(FILE *out, const poa_plan_output *output) {
  fprintf(out, "  output %d %d", (int)output->kind, (int)output->dtype);
  print_text(out, "name", output->name);
  print_shape(out, output->shape);
  print_buffer(out, output->buffer);
  fputc('\n', out);
}

static void print_plan(FILE *out, const poa_plan *plan) {
  fprintf(out, " plan arena=%lld parameters=%lld", (long long)plan->arena_bytes,
          (long long)plan->parameter_bytes);
  print_text(out, "entry", plan->entry);
  fputc('\n', out);
  for (int i = 0; i < plan->launch_count; i++)
    print_launch(out, &plan->launches[i]);
  for (int i = 0; i < plan->parameter_count; i++)
    print_parameter(out, &plan->parameters[i]);
  for (int i = 0; i < plan->input_count; i++)
    print_input(out, &plan->inputs[i]);
  for (int i = 0; i < plan->output_count; i++)
    print_output(out, &plan->outputs[i]);
}

static void print_lattice(FILE *out, const poa_lattice *lattice) {
  fprintf(out, "lattice scale=%.17g", lattice->select_scale);
  for (int i = 0; i < lattice->count; i++) {
    print_text(out, "name", lattice->name[i].name);
    fprintf(out, " %lld..%lld step %lld", (long long)lattice->name[i].min,
            (long long)lattice->name[i].max, (long long)lattice->name[i].step);
  }
  fputc('\n', out);
}

static void print_entry(FILE *out, const poa_program_entry *entry) {
  fprintf(out, "entry variant=%d batch=%lld parameters=%lld flops=%.17g point", entry->variant,
          (long long)entry->batch, (long long)entry->parameters, entry->flops);
  for (int i = 0; i < POA_MAX_ELASTIC; i++)
    fprintf(out, " %lld", (long long)entry->point.value[i]);
  print_text(out, "entry", entry->entry);
  fputc('\n', out);
  print_plan(out, entry->plan);
}

void poa_print_program(const poa_program *program, FILE *out) {
  fprintf(out, "program steps=%.17g steps_vary=%d eval_images=%.17g", program->steps,
          program->steps_vary, program->eval_images);
  print_text(out, "version", program->version);
  print_text(out, "model", program->model);
  print_text(out, "model_path", program->model_path);
  print_text(out, "overrides", program->overrides);
  print_text(out, "source", program->source);
  print_text(out, "normalization", program->normalization);
  print_text(out, "weights_file", program->weights_file);
  fputc('\n', out);
  print_lattice(out, &program->lattice);
  for (int i = 0; i < program->variant_count; i++) {
    print_text(out, "variant", program->variants[i].cpu);
    print_text(out, "features", program->variants[i].features);
    fputc('\n', out);
  }
  for (int i = 0; i < program->entry_count; i++)
    print_entry(out, &program->entries[i]);
  fprintf(out, "weights %lld:", (long long)program->weight_bytes);
  const unsigned char *weights = program->weights;
  for (int64_t i = 0; weights && i < program->weight_bytes; i++)
    fprintf(out, " %02x", weights[i]);
  fputc('\n', out);
}
