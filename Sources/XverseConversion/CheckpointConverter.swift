// CheckpointConverter.swift -- a model as a Hugging Face directory of its own: what was computed once is mapped from then on.

import XverseCore
import XverseFormats
import XverseModels
import XverseTensors

package enum CheckpointConverter {
  /// Called with bytes written of all; throws to end the writing.
  package typealias Progress = (_ done: Int, _ total: Int) throws(XverseError) -> Void

  /// Files that are copied as they are, when they are there.
  private static let companions = [
    "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
  ]
  private static let companionLimit = 256 << 20

  /// Writes `model`, which was made from the checkpoint at `source`, to a new directory.
  ///
  /// - Parameter tokenizer: The file that becomes its tokenizer; nil for the tokenizer.json of `source`.
  /// - Throws: `misuse` when there is something at `destination`; `io`; what `progress` throws. Nothing is left behind then.
  package static func write(
    _ model: XverseModel, from source: CheckpointLocation, to destination: OutputDirectory,
    tokenizer: (name: String, bytes: UnsafeRawBufferPointer)? = nil, maximumShardSize: Int = .max,
    allocator: MemoryAllocator, progress: Progress
  ) throws(XverseError) {
    let text = try config(of: source, describing: model, allocator)
    try destination.write(UnsafeRawBufferPointer(text.elements), to: "config.json")
    if let tokenizer { try destination.write(tokenizer.bytes, to: tokenizer.name) }
    for name in companions where tokenizer == nil || name != "tokenizer.json" {
      guard let file = try source.companion(name, maximumLength: companionLimit, allocator: allocator) else { continue }
      defer { withExtendedLifetime(file) {} }
      try destination.write(file.bytes, to: name)
    }
    try SafetensorsWriter.write(
      model.tensors, to: destination, maximumShardSize: maximumShardSize, progress: progress)
    try destination.publish()
  }

  private static func config(
    of source: CheckpointLocation, describing model: XverseModel, _ allocator: MemoryAllocator
  ) throws(XverseError) -> Buffer<UInt8> {
    var text = Buffer<UInt8>(allocator: allocator)
    if source.isGGUF {
      try text.append(utf8: model.configuration.json(quantizedAs: quantizedType(of: model)) + "\n")
      return text
    }
    let file = try source.requiredCompanion("config.json", maximumLength: companionLimit, allocator: allocator)
    defer { withExtendedLifetime(file) {} }
    return try config(file, describing: model, allocator)
  }

  /// The type of a quantized model; nil for one of floats.
  private static func quantizedType(of model: XverseModel) -> String? {
    model.linears.contains { $0.weights.dtype.isQuantized } ? model.matrixTypeName : nil
  }

  /// config.json with the `quantization_config` of a quantized model, in place of one that its checkpoint had, and all else
  /// as it stands.
  private static func config(
    _ file: MappedFile, describing model: XverseModel, _ allocator: MemoryAllocator
  ) throws(XverseError) -> Buffer<UInt8> {
    let document = try JSONDocument(
      file.bytes, owner: file, source: file.name, dialect: .python, allocator: allocator)
    var text = Buffer<UInt8>(allocator: allocator)
    let isQuantized = model.linears.contains { $0.weights.dtype.isQuantized }
    guard isQuantized, document.root["quantization_config"]?["quant_method"]?.string != Self.ownMethod else {
      try text.append(bytes: file.bytes)
      return text
    }
    try text.append(utf8: "{\n")
    for (key, value) in document.root.members where !key.equals("quantization_config") {
      try text.append(utf8: "  \(JSONWriter.quoted(key.text)): ")
      try text.append(bytes: UnsafeRawBufferPointer(rebasing: file.bytes[value.textRange]))
      try text.append(utf8: ",\n")
    }
    var writer = JSONWriter()
    ModelConfiguration.writeQuantization(model.matrixTypeName, to: &writer)
    try text.append(utf8: "  \"quantization_config\": \(writer.text)\n}\n")
    return text
  }

  private static let ownMethod = ModelConfiguration.quantizationMethod
}
