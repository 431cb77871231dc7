// CancelFunctions.swift -- section 4 of xverse.h.

import CXverse
import XverseCore

@_cdecl("xverse_cancel_create")
public func xverse_cancel_create(_ out: UnsafeMutablePointer<OpaquePointer?>?) -> xverse_status {
  creating(out) { () throws(XverseError) in Cancellation() }
}

@_cdecl("xverse_cancel_free")
public func xverse_cancel_free(_ cancel: OpaquePointer?) { releaseHandle(cancel) }

// Called from signal handlers: no error handling, no thread state, one atomic store.
@_cdecl("xverse_cancel_trigger")
public func xverse_cancel_trigger(_ cancel: OpaquePointer?) {
  guard let cancel else { return }
  Unmanaged<Cancellation>.fromOpaque(UnsafeRawPointer(cancel))._withUnsafeGuaranteedRef { $0.trigger() }
}

@_cdecl("xverse_cancel_reset")
public func xverse_cancel_reset(_ cancel: OpaquePointer?, _ deadlineMilliseconds: Int64) {
  guard let cancel else { return }
  Unmanaged<Cancellation>.fromOpaque(UnsafeRawPointer(cancel))._withUnsafeGuaranteedRef {
    $0.reset(deadlineAfter: deadlineMilliseconds)
  }
}

/// The cancellation behind a handle; nil for NULL.
func cancellation(_ handle: OpaquePointer?) throws(XverseError) -> Cancellation? {
  handle == nil ? nil : try borrow(handle, as: Cancellation.self, "cancel")
}

/// A host's progress function as a closure that throws when it asks to stop.
struct ProgressReporter {
  let function: xverse_progress_fn?
  let user: UnsafeMutableRawPointer?

  func report(_ phase: StaticString, _ done: Int, _ total: Int) throws(XverseError) {
    guard let function else { return }
    try ProcessEnd.check()
    let answer = insideCallback { function(user, cString(phase), Int64(done), Int64(total)) }
    guard answer == 0 else { throw XverseError(.stopped, "stopped by the progress callback") }
  }
}
