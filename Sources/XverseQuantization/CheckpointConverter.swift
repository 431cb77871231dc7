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
  /// - Throws: `misuse` when there is something at `destination`; `io`; what `progress` throws. Nothing is left behind then.
  package static func write(
    _ model: XverseModel, from source: CheckpointLocation, to destination: OutputDirectory, allocator: MemoryAllocator,
    progress: Progress
  ) throws(XverseError) {
    let config = try source.requiredCompanion("config.json", maximumLength: companionLimit, allocator: allocator)
    defer { withExtendedLifetime(config) {} }
    let text = try Self.config(config, describing: model, allocator)
    try destination.write(UnsafeRawBufferPointer(text.elements), to: "config.json")
    for name in companions {
      guard let file = try source.companion(name, maximumLength: companionLimit, allocator: allocator) else { continue }
      defer { withExtendedLifetime(file) {} }
      try destination.write(file.bytes, to: name)
    }
    try SafetensorsWriter.write(model.tensors, to: destination, progress: progress)
    try destination.publish()
  }

  /// config.json, with a `quantization_config` for a quantized model and all else as it stands.
  private static func config(
    _ file: MappedFile, describing model: XverseModel, _ allocator: MemoryAllocator
  ) throws(XverseError) -> Buffer<UInt8> {
    let document = try JSONDocument(file.bytes, owner: file, source: file.name, allocator: allocator)
    var text = Buffer<UInt8>(allocator: allocator)
    let isQuantized = model.layers.contains { $0.attention.query.dtype.isQuantized }
    guard isQuantized, document.root["quantization_config"] == nil,
      let end = file.bytes.lastIndex(of: UInt8(ascii: "}"))
    else {
      try text.append(bytes: file.bytes)
      return text
    }
    var writer = JSONWriter()
    writer.beginObject()
    writer.write(ModelConfiguration.quantizationMethod, "quant_method")
    writer.write(model.matrixTypeName, "type")
    writer.write(DType.groupSize, "group_size")
    writer.endObject()
    // Without the line end before the brace, so that the comma follows what it parts.
    var last = end
    while last > 0, [0x20, 0x09, 0x0A, 0x0D].contains(file.bytes[last - 1]) { last -= 1 }
    try text.append(bytes: UnsafeRawBufferPointer(rebasing: file.bytes[..<last]))
    try text.append(utf8: ",\n  \"quantization_config\": \(writer.text)\n}\n")
    return text
  }
}
