// ModelConversion.swift -- a model written anew, as a directory or as a GGUF file.

import XverseCore
import XverseFormats
import XverseLoading
import XverseTensors

/// How to write a model.
package struct ConversionOptions: Sendable {
  package enum Format: String, CaseIterable, Sendable {
    case safetensors
    case gguf
  }

  /// How the model is read.
  package var model = ModelOptions()
  package var quantization = Quantization()
  /// Most bytes of weights in one file of a directory; 0 for one file.
  package var maximumShardSize = 0
  package var format = Format.safetensors
  /// The type of the matrices in a GGUF file; nil for f16.
  package var encoding: GGUFExport.Encoding?

  package init() {}
}

/// One conversion.
package struct ModelConversion {
  private let source: FilePath
  private let options: ConversionOptions
  private let context: ComputeContext

  /// - Parameters:
  ///   - source: The path of a model, as for `LoadedModel`.
  ///   - context: Reports the phases of loading, and "write" with bytes written of all.
  package init(_ source: FilePath, _ options: ConversionOptions, _ context: ComputeContext) {
    self.source = source
    self.options = options
    self.context = context
  }

  /// Writes the model to `destination`, where nothing may be yet.
  ///
  /// - Throws: `invalid` for options that do not go together; what loading, quantizing and writing throw. Nothing is left
  ///   behind then.
  package func write(to destination: FilePath) throws(XverseError) {
    switch options.format {
    case .safetensors: try writeDirectory(to: destination)
    case .gguf: try writeGGUF(to: destination)
    }
  }

  private func writeDirectory(to destination: FilePath) throws(XverseError) {
    guard options.encoding == nil else {
      throw .invalid("type is set, expected format=gguf with it; quantize is for a directory")
    }
    let conversion = try options.quantization.conversion(context)
    // Made first: a destination that cannot be must not cost the time of a conversion.
    let directory = try OutputDirectory(path: destination)
    let loaded = try LoadedModel(.path(source), options: options.model, context, conversion: conversion)
    guard let model = loaded.model else { throw XverseError(.internal, "the model has no weights") }
    let location = try CheckpointLocation(path: source)
    let file = try TokenizerSource(location, options: options.model, allocator: context.allocator)
      .file(context.allocator)
    defer { withExtendedLifetime(file) {} }
    let writing = context.phase("write")
    try CheckpointConverter.write(
      model, from: location, to: directory, tokenizer: (file.name, file.bytes),
      maximumShardSize: options.maximumShardSize == 0 ? .max : options.maximumShardSize, allocator: context.allocator
    ) { (done, total) throws(XverseError) in try writing.progress(done, total) }
  }

  private func writeGGUF(to destination: FilePath) throws(XverseError) {
    let quantization = options.quantization
    if quantization.scheme != nil { throw Self.unexpectedWithGGUF("quantize") }
    if quantization.calibrationPath != nil { throw Self.unexpectedWithGGUF("calibration") }
    let file = try ReplacementFile(newAt: destination)
    let loaded = try LoadedModel(.path(source), options: options.model, context)
    let tokenizer = try TokenizerSource(
      CheckpointLocation(path: source), options: options.model, allocator: context.allocator)
    try GGUFExport(loaded, as: options.encoding ?? .f16, context.phase("write")).write(to: file, tokenizer: tokenizer)
  }

  private static func unexpectedWithGGUF(_ key: String) -> XverseError {
    .invalid("\(key) is set, expected type=q8_0 or q4_0 with format=gguf")
  }
}
