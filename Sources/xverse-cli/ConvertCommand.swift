// ConvertCommand.swift -- `xverse convert`: writes a model anew, quantized or in another format for instance.

import CXverse
import XverseMeasurement

enum ConvertCommand: Command {
  static let specification = CommandSpecification(
    "convert",
    summary: "Write a model in INT8 or INT4, or as a GGUF file.",
    usages: ["MODEL DESTINATION [options]"],
    details: """
      Writes the model to a new directory in Hugging Face's layout. DESTINATION must not exist; it appears when \
      everything is on the disk, or not at all. Without --quantize the weights stay as they are. With --format gguf it \
      writes one file that llama.cpp loads. With --json the object has "destination", "seconds", and "model", which is \
      what 'xverse info --json' prints for DESTINATION.
      """,
    examples: [
      Example(
        "Quantize once, so that loading needs no time.", "xverse convert XVERSE-7B-Chat int4-model --quantize int4"),
      Example("Write a file for llama.cpp.", "xverse convert XVERSE-7B-Chat model.gguf --format gguf --type q8_0"),
    ],
    operands: [.model, Operand(name: "DESTINATION", completion: .path)],
    groups: [
      OptionGroup("Conversion", LibraryOptions.specifications(.convert)), Runtime.options,
      OptionGroup(OptionGroup.output, [OptionGroup.json, OptionGroup.quiet]),
    ])

  static func run(_ arguments: Arguments) throws(ToolError) {
    let options = try LibraryOptions(.convert, from: arguments)
    let runtimeOptions = try LibraryOptions(.runtime, from: arguments)
    try Interrupt.install()
    var runtime: OpaquePointer?
    try Library.check(xverse_runtime_create(runtimeOptions.handle, nil, &runtime))
    defer { xverse_runtime_release(runtime) }
    let destination = arguments.operands[1]
    let start = Machine.now
    try Progress.show(arguments, always: true) { user in
      xverse_convert(
        runtime, arguments.operands[0].path, destination.path, options.handle, Interrupt.cancel, Progress.callback, user
      )
    }
    if arguments.has("json") {
      let members: [(key: String, value: JSON)] = [
        ("destination", .string(destination.text)), ("seconds", .real(Machine.now - start)),
        ("model", try Library.inspect(destination.path)),
      ]
      try StandardOutput.write(JSON.object(members).text + "\n")
    }
  }
}
