/* commands.c: the sub-commands, a row each. */
#include <string.h>

#include "driver/driver.h"

const poa_command poa_commands[] = {
    {"train", poa_train,
     "set,data,steps,out,init,resume,threads,seed,every,precision,cpu,cache,no-cache,plugin,quiet,"
     "trace",
     1, 1, "poa train MODEL --data PATH [--out DIR] [--steps N] [--set NAME=VALUE,..] [--resume]",
     "pre-trains the elastic network and evaluates its sub-networks",
     "MODEL is a description or the name of a recipe. The run's folder gets "
     "checkpoint.safetensors\n"
     "(every --every steps, at the end, and on SIGINT or SIGTERM), metrics.jsonl and report.html.\n"
     "With --resume the run goes on where its checkpoint stands, with the constants it was\n"
     "started with, and ends bit for bit as if it had never stopped. With --init the largest "
     "network\n"
     "starts from a plain one's weights. --trace writes what each thread did in the first 5 "
     "steps:\n"
     "kernels, waits, batches, compilation, checkpoints.\n\n"
     "--data PATH is a folder of images (.jpg .jpeg .png .webp .ppm .pgm), at any depth: all of "
     "it, "
     "or\n"
     "train/ with test/ or val/ beside it; sub-folders of train/ are classes. Or it holds lists of "
     "images\n"
     "(train.txt, and test.txt or val.txt: a path in each line, perhaps a label), the binary files "
     "of\n"
     "CIFAR-10 or CIFAR-100, or MNIST's or Fashion-MNIST's. Or it is one list or IDX file. Labels "
     "are\n"
     "needed only to evaluate. Files that cannot be read are named and left out.\n"},
    {"eval", poa_eval, "data,at,all,knn,threads,limit,cpu,cache,no-cache,plugin,json", 1, 1,
     "poa eval RUN --data PATH [--at NAME=N,.. | --all]",
     "accuracy of sub-networks of a trained run by nearest neighbours",
     "RUN is the folder that `poa train` wrote. Features come from the entry `features`; each\n"
     "test image asks its 20 nearest training images, weighted by exp(cosine / 0.07).\n"
     "Without --at and --all, a selection of the lattice is evaluated. --data PATH is as for `poa "
     "train`,\n"
     "with labels: train/CLASS/FILE and test/CLASS/FILE (or val/), lists train.txt and test.txt "
     "with "
     "a\n"
     "label in each line, or CIFAR's or MNIST's files.\n"},
    {"compile", poa_compile,
     "set,entry,at,weights,output,emit,batch,precision,cpu,target,multiversion,with-images,weights-"
     "external,"
     "from",
     1, 1, "poa compile MODEL [--at NAME=N,..] [--weights FILE] -o OUT [--emit WHAT]",
     "makes a program or library of native code that needs neither poa nor LLVM",
     "MODEL is a run's folder, an extracted file, or a description or recipe (with --weights, or "
     "with\n"
     "the values that training starts from). --emit exe makes a program: of the entry 'features' "
     "one\n"
     "that computes features of images (its --help tells how), of 'step' one that trains.\n"
     "--at may be given more than once, or be 'all': then one program holds several sub-networks\n"
     "over one set of weights and chooses at start. shared and object make a library with a C\n"
     "header; llvm and asm write text; onnx writes a file for other runtimes.\n"},
    {"extract", poa_extract_command,
     "set,at,all-to,check,output,from,weights,threads,cpu,cache,no-cache", 1, 1,
     "poa extract RUN (--at NAME=N,.. -o FILE.safetensors | --all DIR | --check) [--from SET]",
     "writes sub-networks of a run as plain models, each proved",
     "RUN is the folder that `poa train` wrote. The file holds the parameters of a plain network "
     "of\n"
     "that width and depth, by the names that timm and DINOv2 use, and can be loaded there. "
     "Before\n"
     "it gets its name, its features on random images are compared with those of the elastic\n"
     "network at the point; a difference above 1e-5 of the largest feature is refused.\n"
     "--check does that at every point of the lattice and keeps none of the files.\n"},
    {"ir", poa_ir, "set,entry,at,after,print-after-all,precision,verify,probes", 1, 1,
     "poa ir MODEL [--entry NAME] [--at NAME=N,..] [--after PASS | --print-after-all]",
     "prints the graph of an entry, at any stage of the compiler",
     "Without --after, the graph as elaborated is printed, symbolic in the elastic names.\n"
     "What is printed can be read back by `poa opt`.\n"},
    {"opt", poa_opt, "passes,list,at,precision,verify,probes", 0, 1,
     "poa opt [--passes A,B] [--list] [FILE|-]", "reads a graph, runs passes over it and prints it",
     "Without --passes the graph is read and printed. FILE defaults to standard input.\n"},
    {"info", poa_info, "set,at,precision,json", 1, 1, "poa info MODEL [--at NAME=N,..] [--json]",
     "the lattice: parameters and FLOPs of each sub-network; kernels and peak memory of a step",
     "Parameters and FLOPs are those of the entry `features` for one image. Kernels and memory "
     "are\n"
     "those of the entry `step` at the largest sampled sub-network, or at --at; nothing is "
     "compiled.\n"},
    {"replay", poa_replay, "set,scale,precision,threads,cpu,cache,no-cache,plugin", 2, 2,
     "poa replay MODEL CASE.safetensors [--scale X]",
     "runs one recorded step and compares every tensor with the record",
     "The constants of the case's `config` replace the model's of the same names. Inputs, weights\n"
     "and optimizer state come from the case; losses, targets, features, gradients and updated\n"
     "weights are compared. Exit status 1 if any deviates by more than its limit.\n"},
    {"bench", poa_bench,
     "set,steps,threads,seed,precision,cpu,cache,no-cache,plugin,json,at,first-step", 1, 1,
     "poa bench MODEL [--threads N] [--steps N] [--json]", "times training steps on made-up images",
     "Draws sub-networks as training does. Prints the step's time and spread; the matrix products\n"
     "that the description asks for, two FLOPs per multiply-add and each gradient a product, as\n"
     "a framework would run them, whatever the compiler shares, cuts or repeats; what share of\n"
     "the peak in their precision, measured beside the steps, that is; and the products that are "
     "really run.\n"
     "Then time, their rate and bytes of operands and results by kernel family, by branch of the\n"
     "description (SET at max or sampled; outside of them, the module that the entry calls) and "
     "by\n"
     "kernel; compile time and memory; and what starting costs: from the start of a process to "
     "the\n"
     "end of its first step, less a later one, without and with kernels on disk (--first-step is\n"
     "what the processes started for that run), and what a new value of the first and of the last\n"
     "elastic name takes to compile.\n"},
};
const int poa_command_count = sizeof poa_commands / sizeof *poa_commands;

const poa_command *poa_find_command(const char *name) {
  for (int i = 0; i < poa_command_count; i++)
    if (strcmp(poa_commands[i].name, name) == 0)
      return &poa_commands[i];
  return NULL;
}
