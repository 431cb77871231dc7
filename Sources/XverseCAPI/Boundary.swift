// Boundary.swift -- where C meets Swift: every exported function runs inside one of these wrappers, which turn what goes
// wrong into a status and the thread's message, and check what every call must check.

import CXverse
import Glibc
import XverseCore
import XverseFormats

/// Runs the body of an exported function, whatever floating-point environment the host's thread has.
///
/// - Parameter allowedInCallback: Whether the function may be called from inside a callback: getters and tokenizer calls.
func reportingErrors(
  allowedInCallback: Bool = false, _ body: () throws(XverseError) -> Void
) -> xverse_status {
  do throws(XverseError) {
    try requireOwnProcess()
    let thread = ThreadState.current
    if !allowedInCallback && thread.callbackDepth > 0 {
      throw .misuse(
        "called from inside a callback, where only xverse_cancel_trigger, tokenizer calls and getters may be")
    }
    try thread.insideLibrary(body)
    return xverse_status(XVERSE_OK)
  } catch {
    ThreadState.current.set(error)
    return error.code.rawValue
  }
}

/// Runs the body of an exported function that makes a handle: `out` is NULL unless it succeeds.
func creating(
  _ out: UnsafeMutablePointer<OpaquePointer?>?, _ body: () throws(XverseError) -> AnyObject
) -> xverse_status {
  out?.pointee = nil
  return reportingErrors { () throws(XverseError) in
    let out = try required(out, "out")
    out.pointee = OpaquePointer(Unmanaged.passRetained(try body()).toOpaque())
  }
}

// MARK: arguments

func required<Pointee>(
  _ pointer: UnsafeMutablePointer<Pointee>?, _ name: StaticString
) throws(XverseError) -> UnsafeMutablePointer<Pointee> {
  guard let pointer else { throw .invalid("\(name) is NULL") }
  return pointer
}

func required<Pointee>(
  _ pointer: UnsafePointer<Pointee>?, _ name: StaticString
) throws(XverseError) -> UnsafePointer<Pointee> {
  guard let pointer else { throw .invalid("\(name) is NULL") }
  return pointer
}

/// A caller's array of `count` elements.
func array<Element>(
  _ pointer: UnsafePointer<Element>?, _ count: Int, _ name: StaticString
) throws(XverseError) -> UnsafeBufferPointer<Element> {
  let pointer = try required(pointer, name)
  return UnsafeBufferPointer(start: pointer, count: try elementCount(count, of: Element.self, name))
}

/// A caller's text of `length` bytes, or up to its NUL.
func text(
  _ pointer: UnsafePointer<CChar>?, _ length: Int, _ name: StaticString
) throws(XverseError) -> UnsafeRawBufferPointer {
  let pointer = try required(pointer, name)
  // XVERSE_NTS is SIZE_MAX, which arrives as -1.
  let count = length == -1 ? strlen(pointer) : try elementCount(length, of: CChar.self, name)
  return UnsafeRawBufferPointer(start: pointer, count: count)
}

/// A caller's NUL-terminated UTF-8, copied.
func string(_ pointer: UnsafePointer<CChar>?, _ name: StaticString) throws(XverseError) -> String {
  let pointer = try required(pointer, name)
  guard let string = String(validatingCString: pointer) else { throw .invalid("\(name) is not valid UTF-8") }
  return string
}

/// A caller's path: bytes up to the NUL, copied.
func path(_ pointer: UnsafePointer<CChar>?, _ name: StaticString) throws(XverseError) -> FilePath {
  let pointer = try required(pointer, name)
  return try FilePath(bytes: Array(UnsafeRawBufferPointer(start: pointer, count: strlen(pointer))))
}

func elementCount<Element>(
  _ count: Int, of type: Element.Type, _ name: StaticString
) throws(XverseError) -> Int {
  guard count >= 0, count <= Int.max / max(1, MemoryLayout<Element>.stride) else {
    throw .invalid("the length of \(name) is \(UInt(bitPattern: count)), more than memory can hold")
  }
  return count
}

// MARK: results

/// Copies `source` to the caller's array, as ARRAYS in xverse.h says: `n` always receives the count.
func deliver<Element: BitwiseCopyable>(
  _ source: UnsafeBufferPointer<Element>, to array: UnsafeMutablePointer<Element>?, capacity: Int,
  count n: UnsafeMutablePointer<Int>?, _ name: StaticString
) throws(XverseError) {
  let n = try required(n, "n")
  n.pointee = source.count
  if array == nil && capacity == 0 { return }
  let array = try required(array, name)
  guard capacity < 0 || capacity >= source.count else {
    throw .range("the capacity of \(name) is \(capacity), \(source.count) are needed")
  }
  if let base = source.baseAddress { array.update(from: base, count: source.count) }
}

/// Copies bytes to NUL-terminated memory that goes back with xverse_free.
func deliver(
  _ bytes: UnsafeRawBufferPointer, to result: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>,
  length: UnsafeMutablePointer<Int>?
) throws(XverseError) {
  guard let memory = malloc(bytes.count + 1) else { throw .outOfMemory(bytes: bytes.count + 1) }
  if let base = bytes.baseAddress { memory.copyMemory(from: base, byteCount: bytes.count) }
  memory.storeBytes(of: 0, toByteOffset: bytes.count, as: UInt8.self)
  result.pointee = memory.assumingMemoryBound(to: CChar.self)
  length?.pointee = bytes.count
}

/// Writes as much of `value` as the caller's struct has room for; its `size`, the first member, says how much that is.
func deliver<Struct>(
  _ value: Struct, to pointer: UnsafeMutablePointer<Struct>?, _ name: StaticString
) throws(XverseError) {
  let pointer = try required(pointer, name)
  let raw = UnsafeMutableRawPointer(pointer)
  let size = Int(raw.load(as: UInt32.self))
  guard size >= 8 else { throw .invalid("\(name)->size is \(size), expected the sizeof of its struct") }
  withUnsafeBytes(of: value) { bytes in
    guard let base = bytes.baseAddress else { return }
    let header = MemoryLayout<UInt32>.size
    (raw + header).copyMemory(from: base + header, byteCount: min(size, bytes.count) - header)
  }
}

// MARK: process

/// After fork the child has no compute thread and must not touch what the parent's threads held.
func requireOwnProcess() throws(XverseError) {
  guard getpid() == ownProcess else {
    throw XverseError(
      .forked,
      "called in a child process after fork(), but the library had been called before it: execute a program in the child, or "
        + "fork before the first call")
  }
}

/// The process of the first call.
private let ownProcess = getpid()
