// Handles.swift -- the objects behind the opaque pointers of xverse.h.

import CXverse
import Glibc
import Synchronization
import XverseCore
import XverseLoading
import XverseModels
import XverseRuntime
import XverseTokenizers

/// Finds the object behind a handle.
func borrow<Object: AnyObject>(
  _ handle: OpaquePointer?, as type: Object.Type, _ name: StaticString
) throws(XverseError) -> Object {
  guard let handle else { throw .invalid("\(name) is NULL") }
  guard let object = Unmanaged<AnyObject>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue() as? Object else {
    throw .invalid("\(name) is a handle of another kind")
  }
  return object
}

/// Gives up one reference; NULL does nothing. In a child after fork nothing is touched.
func releaseHandle(_ handle: OpaquePointer?) {
  guard let handle, (try? requireOwnProcess()) != nil else { return }
  // What ends may compute: a session leaves its blocks to others.
  ThreadState.current.insideLibrary { Unmanaged<AnyObject>.fromOpaque(UnsafeRawPointer(handle)).release() }
}

/// An object with one owner at a time: one thread changes it, or any number read it; everybody else is told to wait.
class OwnedHandle {
  /// 0: free; above: number of readers; -1: a writer.
  private let entered = Atomic<Int>(0)
  private let writer = Atomic<UInt>(0)

  /// Runs `body` as the only user.
  func changing<Result>(_ name: StaticString, _ body: () throws(XverseError) -> Result) throws(XverseError) -> Result {
    try enter(name)
    defer { leave() }
    return try body()
  }

  /// Makes the calling thread the only user until it calls `leave`.
  func enter(_ name: StaticString) throws(XverseError) {
    guard entered.compareExchange(expected: 0, desired: -1, ordering: .acquiring).exchanged else { throw busy(name) }
    writer.store(Self.thisThread, ordering: .relaxed)
  }

  func leave() {
    writer.store(0, ordering: .relaxed)
    entered.store(0, ordering: .releasing)
  }

  /// Runs `body` beside other readers; also for the thread that is changing the object, from inside its callback.
  func reading<Result>(_ name: StaticString, _ body: () throws(XverseError) -> Result) throws(XverseError) -> Result {
    if isChangedByThisThread { return try body() }
    var readers = entered.load(ordering: .relaxed)
    while true {
      guard readers >= 0 else { throw busy(name) }
      let attempt = entered.weakCompareExchange(expected: readers, desired: readers + 1, ordering: .acquiring)
      if attempt.exchanged { break }
      readers = attempt.original
    }
    defer { entered.subtract(1, ordering: .releasing) }
    return try body()
  }

  /// Whether the calling thread is inside `changing`.
  var isChangedByThisThread: Bool { writer.load(ordering: .relaxed) == Self.thisThread }

  private func busy(_ name: StaticString) -> XverseError {
    XverseError(.busy, "\(name) is in use by another thread")
  }

  private static var thisThread: UInt { UInt(pthread_self()) }
}

final class ModelHandle: Sendable {
  let model: LoadedModel
  let runtime: Runtime
  /// What its sessions computed; nil when they are to share nothing, or cannot.
  let prefixes: PrefixCache?
  let tokenizer: TokenizerHandle
  let architecture: CString
  let quantization: CString
  let name: CString

  init(_ model: LoadedModel, _ runtime: Runtime, prefixCacheLimit: Int) throws(XverseError) {
    self.model = model
    self.runtime = runtime
    // A key under dynamic scaling depends on the length of the sequence that it was computed for.
    let canShare = if case .dynamic = model.configuration.ropeScaling { false } else { model.model != nil }
    prefixes =
      canShare && prefixCacheLimit > 0 ? PrefixCache(limit: prefixCacheLimit, allocator: runtime.allocator) : nil
    tokenizer = TokenizerHandle(model.tokenizer, model.specialTokens, isBorrowed: true)
    architecture = try CString(model.configuration.modelType)
    quantization = try CString(model.model?.matrixTypeName ?? "none")
    name = try CString(model.name)
  }
}

final class TokenizerHandle: Sendable {
  let tokenizer: Tokenizer
  let specialTokens: SpecialTokens?
  /// Whether it belongs to a model, which alone releases it.
  let isBorrowed: Bool

  init(_ tokenizer: Tokenizer, _ specialTokens: SpecialTokens?, isBorrowed: Bool) {
    self.tokenizer = tokenizer
    self.specialTokens = specialTokens
    self.isBorrowed = isBorrowed
  }
}

final class SessionHandle: OwnedHandle {
  let session: Session
  let model: ModelHandle
  /// The session's length for threads that do not own it.
  let length = Atomic<Int>(0)

  init(_ session: Session, model: ModelHandle) {
    self.session = session
    self.model = model
    length.store(session.length, ordering: .relaxed)
  }
}

final class DetokenizerHandle: OwnedHandle {
  var detokenizer: Detokenizer
  /// The last text that was handed out, with its NUL.
  var text: Buffer<UInt8>

  init(_ detokenizer: consuming Detokenizer, _ allocator: MemoryAllocator) {
    self.detokenizer = detokenizer
    text = Buffer(allocator: allocator)
  }
}

final class SamplerHandle: OwnedHandle {
  let sampler: Sampler
  /// Tokens accepted from the first draw on are generated, those before it are the prompt.
  var hasSampled = false

  init(_ sampler: Sampler, hasSampled: Bool = false) {
    self.sampler = sampler
    self.hasSampled = hasSampled
  }
}

final class RequestHandle: OwnedHandle {
  let request: GenerationRequest
  let model: ModelHandle

  init(_ request: GenerationRequest, model: ModelHandle) {
    self.request = request
    self.model = model
  }
}

/// A NUL-terminated copy of a string that stays in place as long as the object.
final class CString: @unchecked Sendable {
  let pointer: UnsafePointer<CChar>
  private let memory: UnsafeMutablePointer<CChar>

  init(_ string: String) throws(XverseError) {
    guard let memory = strdup(string) else { throw .outOfMemory(bytes: string.utf8.count + 1) }
    self.memory = memory
    pointer = UnsafePointer(memory)
  }

  deinit { free(memory) }
}
