// ConvertCommand.swift -- `xverse convert`: writes a model anew, quantized for instance.

import CXverse

enum ConvertCommand: Command {
  static let specification = CommandSpecification(
    "convert",
    summary: "Write a model in INT8 or INT4.",
    usage: "MODEL DIRECTORY [options]",
    details: """
      Writes the model as a Hugging Face directory of its own, which appears when everything is on the disk. Without
      --quantize the weights stay as they are.
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
        runtime, arguments.operands[0], arguments.operands[1], options.handle, Interrupt.cancel, ProgressLine.callback,
        progress)
    }
    progress.clear()
    try Library.check(status)
  }
}
