/* target.c: the CPU that code is for, this machine's or one named by the user.
 *
 * LLVM's C interface tells the name and features of this machine, but not those of
 * a named CPU: asked for an unknown name it prints a warning and goes on. So the
 * names we accept stand in a table, each with what it adds to the row it builds on,
 * limited to what code generation can use (no system or cryptographic extensions).
 * After LLVM 19's X86TargetParser.cpp. A machine that the table lacks still
 * works as "native". */
#include "codegen/codegen.h"

#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_LENGTH 32     /* of a CPU, with the terminator */
#define FEATURE_LENGTH 512 /* of the features of a row and all it builds on */

#define ICE_LAKE                                                                                   \
  "avx512ifma,avx512vbmi,avx512vbmi2,avx512vnni,avx512bitalg,avx512vpopcntdq,gfni,prfchw"
#define SIERRA_FOREST "avxifma,avxneconvert,avxvnniint8,cmpccxadd"

typedef struct cpu_row {
  const char *architecture; /* first part of the triple */
  const char *name, *base;  /* base: the row it builds on, or NULL */
  const char *adds;
} cpu_row;

static const cpu_row cpus[] = {
    {"x86_64", "x86-64", NULL, "sse,sse2,cx8,fxsr,mmx"},
    {"x86_64", "x86-64-v2", "x86-64", "sse3,ssse3,sse4.1,sse4.2,popcnt,cx16,sahf"},
    {"x86_64", "x86-64-v3", "x86-64-v2", "avx,avx2,bmi,bmi2,f16c,fma,lzcnt,movbe"},
    {"x86_64", "x86-64-v4", "x86-64-v3", "avx512f,avx512bw,avx512cd,avx512dq,avx512vl"},
    {"x86_64", "nehalem", "x86-64-v2", ""},
    {"x86_64", "westmere", "x86-64-v2", ""},
    {"x86_64", "sandybridge", "x86-64-v2", "avx"},
    {"x86_64", "ivybridge", "sandybridge", "f16c"},
    {"x86_64", "haswell", "x86-64-v3", ""},
    {"x86_64", "broadwell", "x86-64-v3", "prfchw"},
    {"x86_64", "skylake", "broadwell", ""},
    {"x86_64", "skylake-avx512", "x86-64-v4", "prfchw"},
    {"x86_64", "cascadelake", "skylake-avx512", "avx512vnni"},
    {"x86_64", "cooperlake", "cascadelake", "avx512bf16"},
    {"x86_64", "icelake-client", "x86-64-v4", ICE_LAKE},
    {"x86_64", "icelake-server", "x86-64-v4", ICE_LAKE},
    {"x86_64", "rocketlake", "x86-64-v4", ICE_LAKE},
    {"x86_64", "tigerlake", "x86-64-v4", ICE_LAKE ",avx512vp2intersect"},
    {"x86_64", "sapphirerapids", "icelake-server", "avx512bf16,avx512fp16,avxvnni"},
    {"x86_64", "emeraldrapids", "sapphirerapids", ""},
    {"x86_64", "graniterapids", "sapphirerapids", ""},
    {"x86_64", "gracemont", "x86-64-v3", "avxvnni,gfni,prfchw"},
    {"x86_64", "alderlake", "gracemont", ""},
    {"x86_64", "raptorlake", "gracemont", ""},
    {"x86_64", "meteorlake", "gracemont", ""},
    {"x86_64", "arrowlake", "gracemont", SIERRA_FOREST},
    {"x86_64", "lunarlake", "gracemont", SIERRA_FOREST ",avxvnniint16"},
    {"x86_64", "sierraforest", "gracemont", SIERRA_FOREST},
    {"x86_64", "silvermont", "x86-64-v2", "movbe,prfchw"},
    {"x86_64", "goldmont", "silvermont", ""},
    {"x86_64", "tremont", "silvermont", "gfni"},
    {"x86_64", "btver2", "ivybridge", "bmi,lzcnt,movbe,prfchw,sse4a"},
    {"x86_64", "znver1", "x86-64-v3", "prfchw,sse4a"},
    {"x86_64", "znver2", "znver1", ""},
    {"x86_64", "znver3", "znver1", ""},
    {"x86_64", "znver4", "x86-64-v4", ICE_LAKE ",avx512bf16,sse4a"},
    {"x86_64", "znver5", "znver4", "avx512vp2intersect,avxvnni"},
    {"aarch64", "generic", NULL, "fp-armv8,neon"},
    {"aarch64", "cortex-a72", "generic", "crc"},
    {"aarch64", "neoverse-n1", "cortex-a72", "lse"},
};

#define NAMED_CPUS (sizeof cpus / sizeof cpus[0])

static const cpu_row *find_cpu(const char *architecture, const char *name) {
  for (size_t i = 0; i < NAMED_CPUS; ++i)
    if (strcmp(cpus[i].architecture, architecture) == 0 && strcmp(cpus[i].name, name) == 0)
      return &cpus[i];
  return NULL;
}

/* `here`: "native" is a name as well. */
static const char *nearest_name(const char *architecture, const char *name, bool here) {
  const char *names[NAMED_CPUS + 1] = {"native"};
  int count = here ? 1 : 0;
  for (size_t i = 0; i < NAMED_CPUS; ++i)
    if (strcmp(cpus[i].architecture, architecture) == 0)
      names[count++] = cpus[i].name;
  return poa_nearest(name, names, count);
}

/* The row of an architecture that everything else builds on. */
static const char *least_cpu(const char *architecture) {
  for (size_t i = 0; i < NAMED_CPUS; ++i)
    if (strcmp(cpus[i].architecture, architecture) == 0)
      return cpus[i].name;
  return "generic";
}

/* What the comma-separated list says of a feature last: '+', '-', or 0 for nothing. */
static char switch_of(const char *features, const char *feature, size_t length) {
  char found = 0;
  for (const char *item = features; item; item = strchr(item, ',')) {
    item += *item == ',';
    if ((item[0] == '+' || item[0] == '-') && strncmp(item + 1, feature, length) == 0 &&
        (item[length + 1] == ',' || item[length + 1] == '\0'))
      found = item[0];
  }
  return found;
}

/* What a feature needs: without it LLVM switches the feature off. */
static const struct {
  const char *feature, *needs;
} needs[] = {{"avx512", "avx512f"}, {"avx512f", "avx2"}, {"avx512f", "fma"}, {"avx512f", "f16c"},
             {"avx2", "avx"},       {"fma", "avx"},      {"f16c", "avx"},    {"avx", "sse4.2"},
             {"sse4.2", "sse4.1"},  {"sse4.1", "ssse3"}, {"ssse3", "sse3"},  {"sse3", "sse2"},
             {"sse2", "sse"}};

/* Is something off that the feature needs? */
static bool lacks_a_need(const char *features, const char *feature) {
  bool part = strncmp(feature, "avx512", 6) == 0 && strcmp(feature, "avx512f") != 0;
  for (size_t i = 0; i < sizeof needs / sizeof *needs; ++i) {
    const char *need = needs[i].needs;
    if (strcmp(needs[i].feature, part ? "avx512" : feature) == 0 &&
        (switch_of(features, need, strlen(need)) == '-' || lacks_a_need(features, need)))
      return true;
  }
  return false;
}

/* Appends a row's features to `features` as "+a,+b", the ones it builds on first. */
static void collect_features(const cpu_row *row, char features[FEATURE_LENGTH]) {
  if (row->base)
    collect_features(find_cpu(row->architecture, row->base), features);
  size_t used = strlen(features);
  for (const char *item = row->adds; *item;) {
    int length = (int)strcspn(item, ",");
    used += (size_t)snprintf(features + used, FEATURE_LENGTH - used, "%s+%.*s", used ? "," : "",
                             length, item);
    item += length + (item[length] == ',');
  }
}

/* Writes to `missing` what `wanted` has and `present` lacks, separated by commas. */
static bool list_missing(const char *wanted, const char *present, char missing[FEATURE_LENGTH]) {
  size_t used = 0;
  missing[0] = '\0';
  for (const char *item = wanted; *item;) {
    int length = (int)strcspn(item, ",");
    if (*item == '+' && switch_of(wanted, item + 1, (size_t)length - 1) == '+' &&
        switch_of(present, item + 1, (size_t)length - 1) != '+')
      used += (size_t)snprintf(missing + used, FEATURE_LENGTH - used, "%s%.*s", used ? ", " : "",
                               length - 1, item + 1);
    item += length + (item[length] == ',');
  }
  return used > 0;
}

/* What `cpu` asks for: "NAME[,+feature,-feature..]". */
typedef struct request {
  char name[NAME_LENGTH];
  const char *extras; /* ",+feature.." or "" */
} request;

static poa_status split_request(const char *cpu, request *r, poa_error *error) {
  size_t length = strcspn(cpu, ",");
  r->extras = cpu + length;
  if (length >= sizeof r->name)
    return poa_fail(error, POA_BAD_INPUT, "unknown CPU '%.60s'", cpu);
  snprintf(r->name, sizeof r->name, "%.*s", (int)length, cpu);
  return POA_OK;
}

/* Features that some row of the architecture names: others change no code of ours. */
static bool is_feature(const char *architecture, const char *feature, size_t length) {
  for (size_t i = 0; i < NAMED_CPUS; ++i) {
    if (strcmp(cpus[i].architecture, architecture) != 0)
      continue;
    for (const char *item = cpus[i].adds; *item;) {
      size_t here = strcspn(item, ",");
      if (here == length && strncmp(item, feature, length) == 0)
        return true;
      item += here + (item[here] == ',');
    }
  }
  return false;
}

static poa_status check_extras(const char *architecture, const char *extras, poa_error *error) {
  for (const char *item = extras; *item;) {
    item += *item == ',';
    size_t length = strcspn(item, ",");
    if ((*item != '+' && *item != '-') || !is_feature(architecture, item + 1, length - 1))
      return poa_fail(error, POA_BAD_INPUT,
                      "'%.*s' is no feature of %s: expected +NAME or -NAME, as -avx512f",
                      (int)length, item, architecture);
    item += length;
  }
  return POA_OK;
}

static poa_status set_features(poa_target *target, const char *name, const char *features,
                               const char *extras, poa_error *error) {
  snprintf(target->cpu, sizeof target->cpu, "%s", name);
  extras += !*features && *extras == ',';
  if (asprintf(&target->features, "%s%s", features, extras) >= 0)
    return POA_OK;
  target->features = NULL;
  return poa_fail(error, POA_NO_MEMORY, "out of memory");
}

static poa_status set_named(poa_target *target, const char *architecture, const request *r,
                            bool here, poa_error *error) {
  char features[FEATURE_LENGTH] = "";
  const cpu_row *row = find_cpu(architecture, r->name);
  if (row) {
    collect_features(row, features);
    return set_features(target, r->name, features, r->extras, error);
  }
  if (strcmp(r->name, "native") == 0)
    return poa_fail(error, POA_BAD_INPUT,
                    "'native' is this machine's CPU, which is no %s: name one, such as '%s'",
                    architecture, least_cpu(architecture));
  const char *nearest = nearest_name(architecture, r->name, here);
  return poa_fail(error, POA_BAD_INPUT, "unknown CPU '%.40s' for %s%s%s%s%s", r->name, architecture,
                  nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "",
                  here ? " 'native' is this machine" : "");
}

/* Code that runs here and now must not need what this machine lacks. */
static poa_status check_machine(const poa_target *target, const char *host_cpu,
                                const char *host_features, poa_error *error) {
  char missing[FEATURE_LENGTH];
  if (!list_missing(target->features, host_features, missing))
    return POA_OK;
  return poa_fail(error, POA_UNSUPPORTED,
                  "CPU '%s' needs %s, which this machine (%s) lacks; choose 'native' or a "
                  "lower level such as 'x86-64-v3'",
                  target->cpu, missing, host_cpu);
}

bool poa_target_has(const poa_target *target, const char *feature) {
  return switch_of(target->features, feature, strlen(feature)) == '+' &&
         !lacks_a_need(target->features, feature);
}

bool poa_target_has_bf16(const poa_target *target) {
  return target->vector_lanes == 16 && poa_target_has(target, "avx512bf16");
}

/* Whether some feature of AVX-512 is on: each brings AVX-512F with it. */
static bool uses_avx512(const poa_target *target) {
  char name[NAME_LENGTH];
  for (const char *item = target->features; *item;) {
    int length = (int)strcspn(item, ",");
    snprintf(name, sizeof name, "%.*s", length > 0 ? length - 1 : 0, item + 1);
    if (strncmp(name, "avx512", 6) == 0 && poa_target_has(target, name))
      return true;
    item += length + (item[length] == ',');
  }
  return false;
}

/* LLVM gives up on code for AVX-512F without AVX-512VL, the first Xeon Phi's. As nothing else has
 * one without the other, that counts as a mistake, or for this machine as AVX2. */
static poa_status settle_avx512(poa_target *target, bool native, poa_error *error) {
  if (!uses_avx512(target) || poa_target_has(target, "avx512vl"))
    return POA_OK;
  if (!native)
    return poa_fail(error, POA_BAD_INPUT,
                    "CPU '%s' with AVX-512 but without avx512vl, which code for it needs: add "
                    "+avx512vl, or switch it off by -avx512f",
                    target->cpu);
  char *features;
  if (asprintf(&features, "%s,-avx512f", target->features) < 0)
    return poa_fail(error, POA_NO_MEMORY, "out of memory");
  free(target->features);
  target->features = features;
  return POA_OK;
}

static void set_vectors(poa_target *target, const char *architecture) {
  bool avx512 = poa_target_has(target, "avx512f"), aarch64 = strcmp(architecture, "aarch64") == 0;
  target->vector_lanes = avx512 ? 16 : poa_target_has(target, "avx") ? 8 : 4;
  target->vector_count = avx512 || aarch64 ? 32 : 16;
  target->has_fma = aarch64 || poa_target_has(target, "fma");
}

/* LLVM's table of targets is global to the process, and filling it is not safe in two
 * threads at once. */
static void register_targets(void) {
  LLVMInitializeNativeTarget();
  LLVMInitializeNativeAsmPrinter();
  LLVMInitializeNativeAsmParser();
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  LLVMInitializeX86AsmParser();
  LLVMInitializeAArch64TargetInfo();
  LLVMInitializeAArch64Target();
  LLVMInitializeAArch64TargetMC();
  LLVMInitializeAArch64AsmPrinter();
  LLVMInitializeAArch64AsmParser();
  /* Strength reduction of loops takes two fifths of the time of code generation and gains nothing
   * here: the emitters' pointers move along with their loops already. It can be left out only for
   * the process, not for a target machine or a function. */
  LLVMParseCommandLineOptions(2, (const char *const[]){"poa", "-disable-lsr"}, NULL);
}

/* This machine, as LLVM sees it. */
typedef struct host_machine {
  char *triple, *cpu, *features;
  char architecture[NAME_LENGTH];
} host_machine;

static void write_architecture(const char *triple, char architecture[NAME_LENGTH]) {
  snprintf(architecture, NAME_LENGTH, "%.*s", (int)strcspn(triple, "-"), triple);
}

static host_machine look_at_machine(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, register_targets);
  host_machine m = {LLVMGetDefaultTargetTriple(), LLVMGetHostCPUName(), LLVMGetHostCPUFeatures(),
                    ""};
  write_architecture(m.triple, m.architecture);
  return m;
}

static void forget_machine(host_machine *m) {
  LLVMDisposeMessage(m->features);
  LLVMDisposeMessage(m->cpu);
  LLVMDisposeMessage(m->triple);
}

/* `runs_here`: the code is to run on this machine. */
static poa_status describe(poa_target *target, const char *cpu, const host_machine *host,
                           bool runs_here, poa_error *error) {
  char architecture[NAME_LENGTH];
  request r;
  write_architecture(target->triple, architecture);
  bool same = strcmp(architecture, host->architecture) == 0;
  poa_status status = split_request(cpu    ? cpu
                                    : same ? "native"
                                           : least_cpu(architecture),
                                    &r, error);
  if (status)
    return status;
  bool native = same && strcmp(r.name, "native") == 0;
  status = native ? set_features(target, host->cpu, host->features, r.extras, error)
                  : set_named(target, architecture, &r, same, error);
  if (status == POA_OK)
    status = check_extras(architecture, r.extras, error);
  if (status == POA_OK)
    status = settle_avx512(target, native && !*r.extras, error);
  if (status == POA_OK && runs_here)
    status = check_machine(target, host->cpu, host->features, error);
  if (status == POA_OK)
    set_vectors(target, architecture);
  return status;
}

static poa_status init(poa_target *target, const char *cpu, const char *triple, bool runs_here,
                       poa_error *error) {
  host_machine host = look_at_machine();
  memset(target, 0, sizeof *target);
  snprintf(target->triple, sizeof target->triple, "%s", triple ? triple : host.triple);
  poa_status status = describe(target, cpu, &host, runs_here, error);
  if (status)
    poa_target_free(target);
  forget_machine(&host);
  return status;
}

poa_status poa_target_init(poa_target *target, const char *cpu, poa_error *error) {
  return init(target, cpu, NULL, true, error);
}

/* Objects of other systems have other sections. */
static bool is_known(const char *triple) {
  size_t length = strcspn(triple, "-");
  for (size_t i = 0; i < NAMED_CPUS; ++i)
    if (strlen(cpus[i].architecture) == length &&
        strncmp(cpus[i].architecture, triple, length) == 0)
      return strstr(triple, "-linux") != NULL;
  return false;
}

poa_status poa_target_init_for(poa_target *target, const char *cpu, const char *triple,
                               poa_error *error) {
  memset(target, 0, sizeof *target);
  if (triple && (!is_known(triple) || strlen(triple) >= sizeof target->triple))
    return poa_fail(error, POA_BAD_INPUT,
                    "--target '%.80s': expected x86_64-linux-gnu or aarch64-linux-gnu", triple);
  return init(target, cpu, triple, false, error);
}

void poa_target_free(poa_target *target) {
  free(target->features);
  memset(target, 0, sizeof *target);
}

LLVMTargetMachineRef poa_target_machine(const poa_target *target, poa_error *error) {
  LLVMTargetRef llvm_target;
  char *message = NULL;
  if (LLVMGetTargetFromTriple(target->triple, &llvm_target, &message)) {
    poa_fail(error, POA_UNSUPPORTED, "LLVM cannot compile for %s: %s", target->triple, message);
    LLVMDisposeMessage(message);
    return NULL;
  }
  LLVMTargetMachineRef machine =
      LLVMCreateTargetMachine(llvm_target, target->triple, target->cpu, target->features,
                              LLVMCodeGenLevelLess, LLVMRelocPIC, LLVMCodeModelDefault);
  if (!machine)
    poa_fail(error, POA_UNSUPPORTED, "LLVM has no code generator for %s", target->triple);
  return machine;
}
