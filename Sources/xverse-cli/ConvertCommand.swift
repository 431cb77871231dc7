// ConvertCommand.swift -- `xverse convert`: writes a model anew, quantized or in another format for instance.

import CXverse

enum ConvertCommand: Command {
  static let specification = CommandSpecification(
    "convert",
    summary: "Write a model in INT8 or INT4, or as a GGUF file.",
    usage: "MODEL DESTINATION [options]",
    details: """
      Writes the model as a Hugging Face directory of its own, which appears when everything is on the disk. Without
      --quantize the weights stay as they are. With --format gguf it writes a file that llama.cpp loads, in f16 or what
      --type says.
      """,
    operands: 2...2,
    options: LibraryOptions.specifications(.convert) + LibraryOptions.specifications(.runtime))

  static func run(_ arguments: Arguments) throws(ToolError) {
    let options = try LibraryOptions(.convert, from: arguments)
    let runtimeOptions = try LibraryOptions(.runtime, from: arguments)
    try Interrupt.install()
    var runtime: OpaquePointer?
    try Library.check(xverse_runtime_create(runtimeOptions.handle, nil, &runtime))
    defer { xverse_runtime_release(runtime) }
    var progress = ProgressLine()
    let status = withUnsafeMutablePointer(to: &progress) { progress in
      xverse_convert(
        runtime, arguments.operands[0].path, arguments.operands[1].path, options.handle, Interrupt.cancel,
        ProgressLine.callback, progress)
    }
    progress.clear()
    try Library.check(status)
  }
}
