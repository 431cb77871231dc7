// RuntimeFunctions.swift -- section 3 of xverse.h, and the runtime that NULL stands for.

import CXverse
import Glibc
import Synchronization
import XverseCore
import XverseRuntime
import XverseTensors

@_cdecl("xverse_runtime_create")
public func xverse_runtime_create(
  _ options: OpaquePointer?, _ allocator: UnsafePointer<xverse_allocator>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> xverse_status {
  creating(out) { () throws(XverseError) in
    let options: RuntimeOptions = try optionValues(options)
    var threadCount = options.threadCount
    if threadCount == nil { threadCount = try DefaultRuntime.threadCount() }
    var threading = options.threading
    if threading == nil { threading = try DefaultRuntime.threading() }
    return try Runtime(
      threadCount: threadCount, threading: threading, instructionSet: options.instructionSet,
      allocator: MemoryAllocator(
        functions: try allocator.map { (pointer) throws(XverseError) in try allocatorFunctions(pointer) },
        limit: options.memoryLimit),
      log: DefaultRuntime.environmentLog())
  }
}

@_cdecl("xverse_runtime_release")
public func xverse_runtime_release(_ runtime: OpaquePointer?) { releaseHandle(runtime) }

@_cdecl("xverse_runtime_set_log")
public func xverse_runtime_set_log(
  _ runtime: OpaquePointer?, _ fn: xverse_log_fn?, _ user: UnsafeMutableRawPointer?, _ level: Int32
) -> xverse_status {
  reportingErrors { () throws(XverseError) in
    guard let level = Log.Level(rawValue: level) else {
      throw .range("level is \(level), expected XVERSE_LOG_OFF (0) to XVERSE_LOG_DEBUG (4)")
    }
    let log = runtime == nil ? DefaultRuntime.log : try borrow(runtime, as: Runtime.self, "runtime").log
    log.set(level: fn == nil ? .off : level, receiver: fn.map { LogReceiver(function: $0, user: user).receive })
  }
}

@_cdecl("xverse_runtime_memory")
public func xverse_runtime_memory(
  _ runtime: OpaquePointer?, _ current: UnsafeMutablePointer<Int64>?, _ peak: UnsafeMutablePointer<Int64>?
) -> xverse_status {
  reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    guard current != nil || peak != nil else { throw .invalid("current and peak are both NULL") }
    let allocator =
      runtime == nil ? DefaultRuntime.allocator : try borrow(runtime, as: Runtime.self, "runtime").allocator
    current?.pointee = Int64(allocator.current)
    peak?.pointee = Int64(allocator.peak)
  }
}

/// The runtime behind a handle, or the default one.
func runtime(_ handle: OpaquePointer?) throws(XverseError) -> Runtime {
  handle == nil ? try DefaultRuntime.shared() : try borrow(handle, as: Runtime.self, "runtime")
}

/// The process's own runtime: made when it is needed, gone with the last model that uses it.
enum DefaultRuntime {
  private struct Reference {
    weak var runtime: Runtime?
  }

  private static let reference = Mutex(Reference())
  static let allocator = MemoryAllocator()
  static let log = environmentLog()

  static func shared() throws(XverseError) -> Runtime {
    let threads = try threadCount()
    let threading = try threading()
    let result = reference.withLock { reference -> Result<Runtime, XverseError> in
      if let runtime = reference.runtime { return .success(runtime) }
      do throws(XverseError) {
        let runtime = try Runtime(threadCount: threads, threading: threading, allocator: allocator, log: log)
        reference.runtime = runtime
        return .success(runtime)
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  /// XVERSE_NUM_THREADS; nil when it is not set.
  static func threadCount() throws(XverseError) -> Int? {
    guard let text = getenv("XVERSE_NUM_THREADS") else { return nil }
    guard let count = Int(String(cString: text)), (1...1024).contains(count) else {
      throw .invalid("XVERSE_NUM_THREADS is '\(Spelling.shortened(String(cString: text)))', expected 1 to 1024")
    }
    return count
  }

  /// XVERSE_THREADING; nil when it is not set, or "auto".
  static func threading() throws(XverseError) -> Kernels.Threading? {
    guard let text = getenv("XVERSE_THREADING").map({ String(cString: $0) }), text != "auto" else { return nil }
    guard let threading = RuntimeOptions.threadings.first(where: { $0.key == text })?.value else {
      throw .invalid("XVERSE_THREADING is '\(Spelling.shortened(text))', expected auto, openmp or pthread")
    }
    return threading
  }

  /// A log to stderr at the level of XVERSE_LOG.
  static func environmentLog() -> Log {
    let level: Log.Level =
      switch getenv("XVERSE_LOG").map({ String(cString: $0) }) {
      case "error": .error
      case "warn": .warning
      case "info": .info
      case "debug": .debug
      default: .off
      }
    return Log(level: level) { level, message in
      let line = "xverse: \(level): \(message)\n"
      // A log that cannot be written has nobody to tell.
      _ = line.withCString { write(2, $0, strlen($0)) }
    }
  }
}

/// The host's function and what it wants to be called with.
private struct LogReceiver: @unchecked Sendable {
  let function: xverse_log_fn
  let user: UnsafeMutableRawPointer?

  func receive(_ level: Log.Level, _ message: String) {
    guard !ProcessEnd.hasBegun else { return }
    message.withCString { pointer in
      insideCallback { function(user, level.rawValue, pointer, strlen(pointer)) }
    }
  }
}

private func allocatorFunctions(
  _ pointer: UnsafePointer<xverse_allocator>
) throws(XverseError) -> MemoryAllocator.Functions {
  let size = Int(pointer.pointee.size)
  guard size >= MemoryLayout<xverse_allocator>.size else {
    throw .invalid(
      "allocator->size is \(size), expected sizeof(xverse_allocator) \(MemoryLayout<xverse_allocator>.size)")
  }
  guard let allocate = pointer.pointee.alloc, let deallocate = pointer.pointee.dealloc else {
    throw .invalid("allocator->alloc or allocator->dealloc is NULL")
  }
  return MemoryAllocator.Functions(allocate: allocate, deallocate: deallocate, user: pointer.pointee.user)
}
