// CompletionFunctions.swift -- requests of OpenAI's interface in section 10 of xverse.h.

import CXverse
import XverseCore
import XverseOpenAI
import XverseRuntime

@_cdecl("xverse_session_generate_json")
public func xverse_session_generate_json(
  _ session: OpaquePointer?, _ json: UnsafePointer<CChar>?, _ len: Int, _ cancel: OpaquePointer?,
  _ fn: xverse_stream_fn?, _ user: UnsafeMutableRawPointer?, _ out: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
  _ outLen: UnsafeMutablePointer<Int>?
) -> xverse_status {
  out?.pointee = nil
  outLen?.pointee = 0
  var wasStopped = false
  let status = reportingErrors { () throws(XverseError) in
    let out = try required(out, "out")
    do throws(XverseError) {
      let handle = try borrow(session, as: SessionHandle.self, "session")
      try handle.changing("session") { () throws(XverseError) in
        defer { handle.length.store(handle.session.length, ordering: .relaxed) }
        let json = try text(json, len, "json")
        let allocator = handle.session.runtime.allocator
        let request = try CompletionRequest(json, allocator: allocator)
        if request.isStreaming && fn == nil {
          throw XverseError(.invalid, "'stream' is true, but fn is NULL: nobody receives the chunks", field: "stream")
        }
        let reporter = fn.map { StreamReporter(function: $0, user: user) }
        var response = Buffer<UInt8>(allocator: allocator)
        wasStopped = try handle.session.complete(
          request, fingerprint: completionFingerprint, cancellation: try cancellation(cancel),
          onEvent: reporter.map { $0.report }, onChunk: request.isStreaming ? reporter.map { $0.report(chunk:) } : nil,
          into: &response)
        try deliver(UnsafeRawBufferPointer(response.elements), to: out, length: outLen)
      }
    } catch {
      deliverCompletionError(error, to: out, length: outLen)
      throw error
    }
  }
  return status == 0 && wasStopped ? xverse_status(XVERSE_STOPPED) : status
}

/// Delivers OpenAI's error object. Without memory for it, the status and the message have to do.
func deliverCompletionError(
  _ error: XverseError, to out: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>, length: UnsafeMutablePointer<Int>?
) {
  var object = Buffer<UInt8>()
  if (try? error.appendCompletionError(to: &object)) != nil {
    try? deliver(UnsafeRawBufferPointer(object.elements), to: out, length: length)
  }
}

/// What responses call the library.
let completionFingerprint = "xverse-\(libraryVersion)"

extension StreamReporter {
  /// Tells of a chunk; returns whether to go on.
  fileprivate func report(chunk: UnsafeBufferPointer<UInt8>) -> Bool {
    guard !ProcessEnd.hasBegun else { return false }
    var told = xverse_event()
    told.size = UInt32(MemoryLayout<xverse_event>.size)
    told.kind = Int32(XVERSE_EVENT_JSON)
    told.text = chunk.baseAddress.map { UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self) }
    told.text_len = chunk.count
    return insideCallback { function(user, &told) } == 0
  }
}
