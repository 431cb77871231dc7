// ConvertFunction.swift -- xverse_convert: a model written anew, as a directory or as a GGUF file.

import CXverse
import XverseCore
import XverseFormats
import XverseQuantization
import XverseRuntime
import XverseTensors

@_cdecl("xverse_convert")
public func xverse_convert(
  _ handle: OpaquePointer?, _ source: UnsafePointer<CChar>?, _ destination: UnsafePointer<CChar>?,
  _ options: OpaquePointer?, _ cancel: OpaquePointer?, _ fn: xverse_progress_fn?, _ user: UnsafeMutableRawPointer?
) -> xverse_status {
  reportingErrors { () throws(XverseError) in
    let source = try string(source, "source")
    let destination = try string(destination, "destination")
    let options: ConversionOptions = try optionValues(options)
    let cancellation = try cancellation(cancel)
    let reporter = ProgressReporter(function: fn, user: user)
    let job = Conversion(
      source: source, options: options, runtime: try runtime(handle), cancellation: cancellation, reporter: reporter)
    switch options.format {
    case .safetensors: try job.writeDirectory(to: destination)
    case .gguf: try job.writeGGUF(to: destination)
    }
  }
}

/// One conversion.
private struct Conversion {
  let source: String
  let options: ConversionOptions
  let runtime: Runtime
  let cancellation: Cancellation?
  let reporter: ProgressReporter

  func writeDirectory(to destination: String) throws(XverseError) {
    guard options.encoding == nil else {
      throw .invalid("type is set, expected format=gguf with it; quantize is for a directory")
    }
    let conversion = try options.quantization.conversion(runtime, cancellation, reporter)
    // Made first: a destination that cannot be must not cost the time of a conversion.
    let directory = try OutputDirectory(path: destination)
    let model = try load(conversion)
    guard let network = model.network else { throw XverseError(.internal, "the model has no weights") }
    let location = try CheckpointLocation(path: source)
    let file = try TokenizerSource(location, options: options.model, allocator: runtime.allocator)
      .file(runtime.allocator)
    defer { withExtendedLifetime(file) {} }
    try CheckpointConverter.write(
      network, from: location, to: directory, tokenizer: (file.name, file.bytes),
      maximumShardSize: options.maximumShardSize == 0 ? .max : options.maximumShardSize,
      allocator: runtime.allocator
    ) { (done, total) throws(XverseError) in
      try cancellation?.check()
      try reporter.report("write", done, total)
    }
  }

  func writeGGUF(to destination: String) throws(XverseError) {
    let quantization = options.quantization
    if quantization.scheme != nil || quantization.calibrationPath != nil {
      let key = quantization.scheme == nil ? "calibration" : "quantize"
      throw .invalid("\(key) is set, expected type=q8_0 or q4_0 with format=gguf")
    }
    let file = try NewFile(path: destination)
    let model = try load(nil)
    let context = ComputeContext(
      kernels: runtime.kernels, allocator: runtime.allocator, executor: runtime.onComputeThread,
      cancellation: cancellation
    ) { (done, total) throws(XverseError) in try reporter.report("write", done, total) }
    let tokenizer = try TokenizerSource(
      CheckpointLocation(path: source), options: options.model, allocator: runtime.allocator)
    try GGUFExport(model, as: options.encoding ?? .f16, context).write(to: file, tokenizer: tokenizer)
  }

  private func load(_ conversion: LoadedModel.Conversion?) throws(XverseError) -> LoadedModel {
    try LoadedModel(
      .path(source), options: options.model, runtime: runtime, conversion: conversion, cancellation: cancellation
    ) { (phase, done, total) throws(XverseError) in
      try cancellation?.check()
      try reporter.report(phase, done, total)
    }
  }
}
