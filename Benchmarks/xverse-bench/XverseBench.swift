// XverseBench.swift -- where `make bench` starts: what the machine can do, then how much of it kernels and models use.
//
// `xverse bench` stands on xverse.h alone and measures what users get. This program reaches into the modules for what
// has no C function: the matrix products by themselves, and one pass over several sequences.

import Glibc
import XverseCore
import XverseRuntime

@main
enum XverseBench {
  static func main() {
    do throws(XverseError) {
      try run(BenchOptions(parsing: CommandLine.arguments.dropFirst()))
    } catch {
      let text = "xverse-bench: \(error.message)\n"
      _ = Glibc.write(STDERR_FILENO, text, text.utf8.count)
      exit(error.code == .invalid ? 2 : 1)
    }
  }

  private static func run(_ options: BenchOptions) throws(XverseError) {
    let runtime = try Runtime(threadCount: options.threadCount, instructionSet: options.instructionSet)
    let probes = MachineProbes(runtime)
    var report = BenchReport(kernels: runtime.kernels, limits: probes.limits())
    show(report.machineText)
    for path in options.models {
      let model = try ModelBench(path: path, options: options, runtime: runtime, probes: probes).run()
      show(model.text)
      report.models.append(model)
      // Each time anew, so that a run that is broken off leaves what it found.
      if let path = options.jsonPath { try write(report.json + "\n", to: path) }
    }
    if let path = options.jsonPath { show("written to \(path)") }
  }

  /// Prints at once, also into a pipe: a model takes a minute or more.
  private static func show(_ text: String) {
    print(text)
    fflush(nil)
  }

  private static func write(_ text: String, to path: String) throws(XverseError) {
    guard let file = fopen(path, "w") else { throw .io("cannot write \(path): \(String(cString: strerror(errno)))") }
    let isWritten = fputs(text, file) >= 0
    guard fclose(file) == 0, isWritten else { throw .io("cannot write \(path)") }
  }
}
