// Handle.swift -- the owner of one object of the library, and what crosses the border to C.

internal import CXverse

/// Owns a C handle and frees it with the last reference.
///
/// Unchecked, because the library itself says which objects threads may share: models, runtimes, tokenizers, cancels and
/// schedulers freely; any other handle is used by one actor or one object that is not Sendable.
final class Handle: @unchecked Sendable {
  /// For the arguments of a call. The handle must have a name in the caller, which keeps it until after the call: one
  /// that is only part of an expression ends before.
  let pointer: OpaquePointer
  private let free: @Sendable (OpaquePointer?) -> Void

  /// The handle that `create` makes; `free` ends it.
  init(
    free: @escaping @Sendable (OpaquePointer?) -> Void,
    _ create: (UnsafeMutablePointer<OpaquePointer?>) -> xverse_status
  ) throws(XverseError) {
    var created: OpaquePointer?
    let status = create(&created)
    guard let created else { throw status == XVERSE_STOPPED ? .cancelled : XverseError(status: status) }
    pointer = created
    self.free = free
  }

  deinit { free(pointer) }
}

/// A flag that ends the calls that watch it.
final class Cancellation: Sendable {
  private let handle: Handle

  init() throws(XverseError) { handle = try Handle(free: { xverse_cancel_free($0) }) { xverse_cancel_create($0) } }

  var pointer: OpaquePointer { handle.pointer }

  func trigger() { xverse_cancel_trigger(handle.pointer) }
}

extension String {
  /// Bytes of the library's; what is no UTF-8 becomes U+FFFD.
  init(bytes: UnsafePointer<CChar>?, count: Int) {
    self.init(decoding: UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : count), as: UTF8.self)
  }

  /// Takes a text of the library's, which is freed.
  init(taking text: UnsafeMutablePointer<CChar>?) {
    self = text.map { String(cString: $0) } ?? ""
    xverse_free(text)
  }

  /// Calls `body` with the text in UTF-8, and its length in bytes.
  func withBytes<Result>(_ body: (UnsafePointer<CChar>, Int) -> Result) -> Result {
    var text = self
    return text.withUTF8 { bytes in
      // An empty string may have no address.
      guard let start = bytes.baseAddress else { return body("", 0) }
      return start.withMemoryRebound(to: CChar.self, capacity: bytes.count) { body($0, bytes.count) }
    }
  }
}

extension Array where Element: BitwiseCopyable {
  /// Calls `body` with the elements; never with NULL.
  func withElements<Result>(_ body: (UnsafePointer<Element>, Int) -> Result) -> Result {
    withUnsafeBufferPointer { buffer in
      if let start = buffer.baseAddress { return body(start, buffer.count) }
      return withUnsafeTemporaryAllocation(of: Element.self, capacity: 1) { body(UnsafePointer($0.baseAddress!), 0) }
    }
  }

  /// The array that a C call fills, which says how many elements there are; `capacity` of them are tried first.
  init(
    capacity: Int, filledWith zero: Element,
    by fill: (UnsafeMutablePointer<Element>?, Int, UnsafeMutablePointer<Int>) -> xverse_status
  ) throws(XverseError) {
    var count = 0
    var elements = [Element](repeating: zero, count: capacity)
    var status = elements.withUnsafeMutableBufferPointer { fill($0.baseAddress, $0.count, &count) }
    if status == XVERSE_OK || status == XVERSE_E_RANGE, count > elements.count {
      elements = [Element](repeating: zero, count: count)
      status = elements.withUnsafeMutableBufferPointer { fill($0.baseAddress, $0.count, &count) }
    }
    try check(status)
    self = [Element](elements.prefix(count))
  }
}

/// Calls a C function that takes a function and a user pointer; NULL for both without a closure.
func withUser<Closure: Sendable, Result>(
  _ closure: Closure?, _ body: (UnsafeMutableRawPointer?) throws -> Result
) rethrows -> Result {
  guard let closure else { return try body(nil) }
  let box = Box(closure)
  return try withExtendedLifetime(box) { try body(Unmanaged.passUnretained(box).toOpaque()) }
}

/// A closure behind a user pointer.
final class Box<Closure: Sendable>: Sendable {
  let closure: Closure

  init(_ closure: Closure) { self.closure = closure }

  static func closure(_ user: UnsafeMutableRawPointer?) -> Closure? {
    user.map { Unmanaged<Self>.fromOpaque($0).takeUnretainedValue().closure }
  }
}
