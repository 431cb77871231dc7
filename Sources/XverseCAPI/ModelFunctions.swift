// ModelFunctions.swift -- section 5 of xverse.h.

import CXverse
import XverseCore
import XverseLoading
import XverseRuntime

@_cdecl("xverse_model_open")
public func xverse_model_open(
  _ path: UnsafePointer<CChar>?, _ options: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> xverse_status {
  xverse_model_load(nil, path, options, nil, nil, nil, out)
}

@_cdecl("xverse_model_load")
public func xverse_model_load(
  _ handle: OpaquePointer?, _ path: UnsafePointer<CChar>?, _ options: OpaquePointer?, _ cancel: OpaquePointer?,
  _ fn: xverse_progress_fn?, _ user: UnsafeMutableRawPointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> xverse_status {
  creating(out) { () throws(XverseError) in
    try load(
      .path(try XverseCAPI.path(path, "path")), on: handle, try optionValues(options), try cancellation(cancel),
      ProgressReporter(function: fn, user: user))
  }
}

@_cdecl("xverse_model_load_source")
public func xverse_model_load_source(
  _ handle: OpaquePointer?, _ source: UnsafePointer<xverse_source>?, _ sourceUser: UnsafeMutableRawPointer?,
  _ options: OpaquePointer?, _ cancel: OpaquePointer?, _ fn: xverse_progress_fn?, _ user: UnsafeMutableRawPointer?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> xverse_status {
  creating(out) { () throws(XverseError) in
    let source = try HostSource(source, user: sourceUser)
    defer { source.close() }
    return try load(
      .host(source.files), on: handle, try optionValues(options), try cancellation(cancel),
      ProgressReporter(function: fn, user: user))
  }
}

private func load(
  _ origin: LoadedModel.Origin, on handle: OpaquePointer?, _ options: LoadOptions, _ cancellation: Cancellation?,
  _ reporter: ProgressReporter
) throws(XverseError) -> ModelHandle {
  let runtime = try runtime(handle)
  let context = runtime.context(cancellation: cancellation, report: reporter.report)
  let model = try LoadedModel(
    origin, options: options.model, context,
    conversion: try options.quantization.conversion(context))
  return try ModelHandle(model, runtime, prefixCacheLimit: options.prefixCacheLimit)
}

@_cdecl("xverse_model_inspect")
public func xverse_model_inspect(
  _ path: UnsafePointer<CChar>?, _ options: OpaquePointer?,
  _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ len: UnsafeMutablePointer<Int>?
) -> xverse_status {
  json?.pointee = nil
  return reportingErrors { () throws(XverseError) in
    let json = try required(json, "json")
    let path = try XverseCAPI.path(path, "path")
    let options: LoadOptions = try optionValues(options)
    let text = try ModelInspection.json(path: path, options: options.model, allocator: MemoryAllocator())
    try deliver(text, to: json, length: len)
  }
}

@_cdecl("xverse_model_estimate")
public func xverse_model_estimate(
  _ path: UnsafePointer<CChar>?, _ model: OpaquePointer?, _ session: OpaquePointer?,
  _ out: UnsafeMutablePointer<xverse_memory_estimate>?
) -> xverse_status {
  reportingErrors { () throws(XverseError) in
    let path = try XverseCAPI.path(path, "path")
    let estimation = try MemoryEstimation(try optionValues(model, "model"), try optionValues(session, "session"))
    // Looked at first: an answer that cannot be given must not cost the reading.
    _ = try required(out, "out")
    let estimate = try estimation.estimate(path: path)
    var result = xverse_memory_estimate()
    result.weights_resident = Int64(estimate.weightsResident)
    result.weights_mapped = Int64(estimate.weightsMapped)
    result.load_peak = Int64(estimate.loadPeak)
    result.kv_per_token = Int64(estimate.cachePerToken)
    result.kv_total = Int64(estimate.cacheTotal)
    result.scratch = Int64(estimate.scratch)
    result.total = Int64(estimate.total)
    result.host_available = Int64(estimate.hostAvailable)
    try deliver(result, to: out, "out")
  }
}

@_cdecl("xverse_model_retain")
public func xverse_model_retain(_ model: OpaquePointer?) -> OpaquePointer? {
  guard let model, (try? requireOwnProcess()) != nil else { return model }
  _ = Unmanaged<ModelHandle>.fromOpaque(UnsafeRawPointer(model)).retain()
  return model
}

@_cdecl("xverse_model_release")
public func xverse_model_release(_ model: OpaquePointer?) { releaseHandle(model) }

@_cdecl("xverse_model_get_info")
public func xverse_model_get_info(
  _ model: OpaquePointer?, _ out: UnsafeMutablePointer<xverse_model_info>?
) -> xverse_status {
  reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    let handle = try borrow(model, as: ModelHandle.self, "model")
    let configuration = handle.model.configuration
    var info = xverse_model_info()
    info.n_layers = Int32(clamping: configuration.layerCount)
    info.n_params = Int64(configuration.parameterCount)
    info.weight_bytes = Int64(handle.model.weightBytes)
    info.n_embd = Int32(clamping: configuration.hiddenSize)
    info.n_ff = Int32(clamping: configuration.intermediateSize)
    info.n_heads = Int32(clamping: configuration.headCount)
    info.n_kv_heads = Int32(clamping: configuration.kvHeadCount)
    info.n_vocab = Int32(clamping: configuration.vocabularySize)
    info.n_ctx_train = Int32(clamping: configuration.maximumPositions)
    info.arch = handle.architecture.pointer
    info.quant = handle.quantization.pointer
    info.name = handle.name.pointer
    try deliver(info, to: out, "out")
  }
}

@_cdecl("xverse_model_perplexity")
public func xverse_model_perplexity(
  _ model: OpaquePointer?, _ text: UnsafePointer<CChar>?, _ len: Int, _ options: OpaquePointer?,
  _ cancel: OpaquePointer?, _ fn: xverse_progress_fn?, _ user: UnsafeMutableRawPointer?,
  _ perplexity: UnsafeMutablePointer<Double>?, _ standardError: UnsafeMutablePointer<Double>?
) -> xverse_status {
  reportingErrors { () throws(XverseError) in
    let handle = try borrow(model, as: ModelHandle.self, "model")
    let text = try XverseCAPI.text(text, len, "text")
    let options: PerplexityOptions = try optionValues(options, "score_options")
    let perplexity = try required(perplexity, "perplexity")
    let reporter = ProgressReporter(function: fn, user: user)
    let result = try handle.model.perplexity(
      of: text, on: handle.runtime, options: options, cancellation: try cancellation(cancel)
    ) { (done, total) throws(XverseError) in try reporter.report("score", done, total) }
    perplexity.pointee = result.value
    standardError?.pointee = result.standardError
  }
}

/// Copies a string to memory that goes back with xverse_free.
func deliver(
  _ text: String, to result: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>, length: UnsafeMutablePointer<Int>?
) throws(XverseError) {
  var bytes = Buffer<UInt8>()
  try bytes.append(utf8: text)
  try deliver(UnsafeRawBufferPointer(bytes.elements), to: result, length: length)
}
