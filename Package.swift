// swift-tools-version:6.0
// The modules of libxverse from the bottom up: a target may depend only on targets above it in this list.

import PackageDescription

/// OpenMP through clang's own pragmas; SwiftPM compiles C with -O2 only, which leaves loops
/// unvectorized. These are the only unsafe flags of the package.
let kernelFlags: [CSetting] = [
  .unsafeFlags(["-O3", "-fopenmp", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wpointer-arith"])
]
/// libomp and OpenBLAS are loaded when they are first used.
let kernelLibraries: [LinkerSetting] = [.linkedLibrary("m"), .linkedLibrary("dl")]

let package = Package(
  name: "xverse",
  products: [
    .library(name: "xverse", type: .dynamic, targets: ["XverseCAPI"]),
    .executable(name: "xverse-cli", targets: ["xverse-cli"]),
  ],
  targets: [
    // The public contract: xverse.h as a clang module, for our Swift as for everybody's.
    .systemLibrary(name: "CXverse", path: "include"),
    // Inner loops over numbers, C11 and OpenMP.
    .target(name: "CXverseKernels", cSettings: kernelFlags, linkerSettings: kernelLibraries),
    // The error, memory that can say no, JSON.
    .target(name: "XverseCore"),
    // Text <-> token ids.
    .target(name: "XverseTokenizers", dependencies: ["XverseCore"]),
    // Matrices in memory and the kernels that work on them.
    .target(name: "XverseTensors", dependencies: ["XverseCore", "CXverseKernels"]),
    // Checkpoint files -> named tensors.
    .target(name: "XverseFormats", dependencies: ["XverseTensors"]),
    // Configuration, layers, KV cache: the formulas of the transformer.
    .target(name: "XverseModels", dependencies: ["XverseFormats"]),
    // The files of a model -> a loaded model, its description, an estimate of its memory.
    .target(name: "XverseLoading", dependencies: ["XverseModels", "XverseTokenizers"]),
    // A loaded model -> int8 and int4, directories, GGUF files.
    .target(name: "XverseConversion", dependencies: ["XverseLoading"]),
    // eventfd(2) for Swift.
    .systemLibrary(name: "CEventFD"),
    // When to run the model and for whom: compute thread, sessions, sampling, generation, scheduler.
    .target(name: "XverseRuntime", dependencies: ["XverseLoading", "CEventFD"]),
    // Requests of OpenAI's interface in JSON -> generation -> responses in JSON.
    .target(name: "XverseOpenAI", dependencies: ["XverseRuntime"]),
    // xverse.h implemented.
    .target(
      name: "XverseCAPI", dependencies: ["XverseOpenAI", "XverseConversion", "CXverse"], exclude: ["exports.map"]),
    // Probes of the machine's limits, for the benchmarks.
    .target(name: "CMachineLimits", cSettings: kernelFlags, linkerSettings: kernelLibraries),
    // Samples, tables and facts about the machine, for the benchmarks.
    .target(name: "XverseMeasurement"),
    // The command-line tool. Of the library it uses xverse.h alone.
    .executableTarget(
      name: "xverse-cli", dependencies: ["CXverse", "XverseCAPI", "CMachineLimits", "XverseMeasurement"]),

    // The benchmark of `make bench`: the machine's limits, kernels and whole models.
    .executableTarget(
      name: "xverse-bench", dependencies: ["XverseRuntime", "CMachineLimits", "XverseMeasurement"],
      path: "Benchmarks/xverse-bench"),

    // Files written and data made for tests.
    .target(name: "TestSupport", dependencies: ["XverseCore"], path: "Tests/Support"),
    // Small models loaded from the disk, and a naive oracle for what they compute.
    .target(name: "ModelTestSupport", dependencies: ["XverseLoading", "TestSupport"], path: "Tests/ModelSupport"),
    // What must hold for any bytes: run over a corpus by the tests, and over random bytes by the fuzzer.
    .target(name: "FuzzTargets", dependencies: ["XverseOpenAI", "ModelTestSupport"], path: "Fuzz/Targets"),

    .testTarget(name: "XverseCoreTests", dependencies: ["XverseCore", "TestSupport"], path: "Tests/CoreTests"),
    .testTarget(name: "KernelTests", dependencies: ["CXverseKernels", "TestSupport"], exclude: ["c"]),
    .testTarget(name: "TensorTests", dependencies: ["XverseTensors", "TestSupport"]),
    .testTarget(name: "TokenizerTests", dependencies: ["XverseTokenizers", "TestSupport"]),
    .testTarget(name: "FormatTests", dependencies: ["XverseFormats", "TestSupport"]),
    .testTarget(name: "ModelTests", dependencies: ["XverseModels", "TestSupport"]),
    .testTarget(name: "LoadingTests", dependencies: ["XverseLoading", "ModelTestSupport"]),
    .testTarget(name: "ConversionTests", dependencies: ["XverseConversion", "ModelTestSupport"]),
    .testTarget(name: "RuntimeTests", dependencies: ["XverseRuntime", "XverseConversion", "ModelTestSupport"]),
    .testTarget(name: "OpenAITests", dependencies: ["XverseOpenAI", "ModelTestSupport"]),
    .testTarget(name: "FuzzTests", dependencies: ["FuzzTargets", "TestSupport"]),
    .testTarget(name: "MeasurementTests", dependencies: ["XverseMeasurement"]),
    .testTarget(name: "CAPITests", dependencies: ["CXverse", "XverseCAPI", "TestSupport"], exclude: ["c"]),
  ],
  cLanguageStandard: .c11
)

// The fuzzer is built by scripts/fuzz.sh alone, which says where the toolchain keeps libFuzzer.
if let library = Context.environment["XVERSE_LIBFUZZER"] {
  package.targets += [
    .target(
      name: "CLibFuzzer", path: "Fuzz/CLibFuzzer",
      linkerSettings: [.unsafeFlags([library]), .linkedLibrary("stdc++")]),
    .executableTarget(name: "xverse-fuzz", dependencies: ["CLibFuzzer", "FuzzTargets"], path: "Fuzz/Driver"),
  ]
  package.products.append(.executable(name: "xverse-fuzz", targets: ["xverse-fuzz"]))
}
