// GenerationFunctions.swift -- generation and results of section 10 of xverse.h.

import CXverse
import XverseCore
import XverseRuntime

@_cdecl("xverse_session_generate")
public func xverse_session_generate(
  _ session: OpaquePointer?, _ request: OpaquePointer?, _ cancel: OpaquePointer?, _ fn: xverse_stream_fn?,
  _ user: UnsafeMutableRawPointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> xverse_status {
  out?.pointee = nil
  var wasStopped = false
  let status = changing(session) { (session) throws(XverseError) in
    let request = try borrow(request, as: RequestHandle.self, "request")
    let out = try required(out, "out")
    let cancellation = try cancellation(cancel)
    guard request.request.model === session.model else {
      throw XverseError(.mismatch, "session and request were made from different models")
    }
    let (prompt, options) = try request.promptAndOptions(context: session.context)
    guard options.count == 1 else {
      throw .invalid("option 'n' is \(options.count), expected 1: only a scheduler makes several answers of one prompt")
    }
    let reporter = fn.map { StreamReporter(function: $0, user: user) }
    let result = try session.generate(
      prompt.tokens.elements, options, continuesText: prompt.continuesText, cancellation: cancellation,
      onEvent: reporter.map { $0.report })
    wasStopped = result.statistics.finishReason == .callback
    out.pointee = OpaquePointer(Unmanaged.passRetained(ResultHandle(result, session)).toOpaque())
  }
  return status == 0 && wasStopped ? xverse_status(XVERSE_STOPPED) : status
}

@_cdecl("xverse_result_text")
public func xverse_result_text(
  _ result: OpaquePointer?, _ text: UnsafeMutablePointer<UnsafePointer<CChar>?>?, _ len: UnsafeMutablePointer<Int>?
) -> xverse_status {
  text?.pointee = nil
  return reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    let result = try borrow(result, as: ResultHandle.self, "result").result
    let text = try required(text, "text")
    text.pointee = result.text.elements.baseAddress.map {
      UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self)
    }
    len?.pointee = result.textLength
  }
}

@_cdecl("xverse_result_tokens")
public func xverse_result_tokens(
  _ result: OpaquePointer?, _ tokens: UnsafeMutablePointer<UnsafePointer<Int32>?>?,
  _ logprobs: UnsafeMutablePointer<UnsafePointer<Float>?>?, _ n: UnsafeMutablePointer<Int>?
) -> xverse_status {
  tokens?.pointee = nil
  logprobs?.pointee = nil
  return reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    let result = try borrow(result, as: ResultHandle.self, "result").result
    let tokens = try required(tokens, "tokens")
    let n = try required(n, "n")
    tokens.pointee = result.tokens.elements.baseAddress
    logprobs?.pointee = result.logprobs.elements.baseAddress
    n.pointee = result.tokens.count
  }
}

@_cdecl("xverse_result_stats")
public func xverse_result_stats(_ result: OpaquePointer?, _ out: UnsafeMutablePointer<xverse_stats>?) -> xverse_status {
  reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    let handle = try borrow(result, as: ResultHandle.self, "result")
    try deliver(handle.stats, to: out, "out")
  }
}

@_cdecl("xverse_result_free")
public func xverse_result_free(_ result: OpaquePointer?) { releaseHandle(result) }

/// What was generated; immutable.
private final class ResultHandle {
  let result: GenerationResult
  let stats: xverse_stats

  init(_ result: GenerationResult, _ session: Session) {
    self.result = result
    stats = xverse_stats(
      result.statistics, kvBytes: session.cacheBytes, scratchBytes: session.runtime.scratchBytes)
  }
}

/// A rendered prompt that closures can hold.
final class RenderedPrompt {
  let tokens: Buffer<Int32>
  let continuesText: Bool

  init(_ tokens: consuming Buffer<Int32>, continuesText: Bool) {
    self.tokens = tokens
    self.continuesText = continuesText
  }
}

extension RequestHandle {
  /// Reads the request as one of its readers: it may be shared while it is generated from.
  func promptAndOptions(context: Int) throws(XverseError) -> (RenderedPrompt, GenerationOptions) {
    try reading("request") { () throws(XverseError) in
      let prompt = RenderedPrompt(
        try request.prompt(context: context), continuesText: request.continuesText)
      return (prompt, request.options)
    }
  }
}

/// A host's stream function.
struct StreamReporter {
  let function: xverse_stream_fn
  let user: UnsafeMutableRawPointer?

  /// Returns whether to go on.
  func report(_ event: borrowing GenerationEvent) -> Bool {
    guard !ProcessEnd.hasBegun else { return false }
    var told = xverse_event()
    told.size = UInt32(MemoryLayout<xverse_event>.size)
    told.kind = event.kind.rawValue
    told.text = event.text.baseAddress.map { UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self) }
    told.text_len = event.text.count
    told.tokens = event.tokens.baseAddress
    told.logprobs = event.logprobs.isEmpty ? nil : event.logprobs.baseAddress
    told.n_tokens = event.tokens.count
    told.n_prompt_done = Int64(event.promptDone)
    told.n_prompt_total = Int64(event.promptTotal)
    told.finish_reason = event.finishReason.rawValue
    told.status =
      event.error?.code.rawValue ?? (event.finishReason == .callback ? xverse_status(XVERSE_STOPPED) : 0)
    guard let error = event.error else { return insideCallback { function(user, &told) } == 0 }
    return error.message.withCString { message in
      told.message = message
      return insideCallback { function(user, &told) } == 0
    }
  }
}
