// SessionFunctions.swift -- sections 7 and 8 of xverse.h.

import CXverse
import XverseCore
import XverseLoading
import XverseRuntime

@_cdecl("xverse_session_create")
public func xverse_session_create(
  _ model: OpaquePointer?, _ options: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> xverse_status {
  creating(out) { () throws(XverseError) in
    let model = try borrow(model, as: ModelHandle.self, "model")
    let options: SessionOptions = try optionValues(options)
    let session = try Session(
      model.model, model.runtime, context: options.context, cacheElement: options.cacheElement,
      overflow: options.overflow, prefixes: model.prefixes)
    return SessionHandle(session, model: model)
  }
}

@_cdecl("xverse_session_free")
public func xverse_session_free(_ session: OpaquePointer?) { releaseHandle(session) }

@_cdecl("xverse_session_fork")
public func xverse_session_fork(
  _ session: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> xverse_status {
  creating(out) { () throws(XverseError) in
    let handle = try borrow(session, as: SessionHandle.self, "session")
    let fork = try handle.reading("session") { () throws(XverseError) in try handle.session.fork() }
    return SessionHandle(fork, model: handle.model)
  }
}

@_cdecl("xverse_session_truncate")
public func xverse_session_truncate(_ session: OpaquePointer?, _ n: Int64) -> xverse_status {
  changing(session) { (session) throws(XverseError) in
    guard n >= 0, n <= session.length else { throw .range("n_tokens is \(n), expected 0 to \(session.length)") }
    session.truncate(to: Int(n))
  }
}

@_cdecl("xverse_session_set_draft")
public func xverse_session_set_draft(
  _ session: OpaquePointer?, _ draft: OpaquePointer?, _ options: OpaquePointer?
) -> xverse_status {
  changing(session) { (session) throws(XverseError) in
    try session.setDraft(draftModel(draft, options, for: session.model, session.runtime, of: "session"))
  }
}

/// What guesses for a session or scheduler; nil for NULL.
func draftModel(
  _ draft: OpaquePointer?, _ options: OpaquePointer?, for model: LoadedModel, _ runtime: Runtime, of owner: String
) throws(XverseError) -> DraftModel? {
  guard draft != nil else { return nil }
  let draft = try borrow(draft, as: ModelHandle.self, "draft")
  let options: SessionOptions = try optionValues(options)
  guard draft.runtime === runtime else {
    throw XverseError(.mismatch, "draft model '\(draft.model.name)' belongs to another runtime than the \(owner)")
  }
  return try DraftModel(
    draft.model, for: model, runtime, context: options.context, cacheElement: options.cacheElement,
    prefixes: draft.prefixes)
}

@_cdecl("xverse_session_length")
public func xverse_session_length(_ session: OpaquePointer?) -> Int64 {
  var result: Int64 = -1
  _ = reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    let handle = try borrow(session, as: SessionHandle.self, "session")
    result = Int64(handle.currentLength)
  }
  return result
}

@_cdecl("xverse_session_tokens")
public func xverse_session_tokens(
  _ session: OpaquePointer?, _ tokens: UnsafeMutablePointer<Int32>?, _ capacity: Int, _ n: UnsafeMutablePointer<Int>?
) -> xverse_status {
  reading(session) { (session) throws(XverseError) in
    try deliver(session.tokens, to: tokens, capacity: capacity, count: n, "tokens")
  }
}

@_cdecl("xverse_session_save")
public func xverse_session_save(_ session: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> xverse_status {
  reading(session, allowedInCallback: false) { (session) throws(XverseError) in
    try session.save(to: try XverseCAPI.path(path, "path"))
  }
}

@_cdecl("xverse_session_restore")
public func xverse_session_restore(_ session: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> xverse_status {
  changing(session) { (session) throws(XverseError) in
    try session.restore(from: try XverseCAPI.path(path, "path"))
  }
}

@_cdecl("xverse_session_set_note")
public func xverse_session_set_note(
  _ session: OpaquePointer?, _ note: UnsafeRawPointer?, _ len: Int
) -> xverse_status {
  changing(session) { (session) throws(XverseError) in
    guard len <= Session.maximumNoteLength else {
      throw .limit("the note has \(len) bytes, expected at most \(Session.maximumNoteLength)")
    }
    var copy = Buffer<UInt8>(allocator: session.runtime.allocator)
    if len != 0 { try copy.append(contentsOf: try array(note?.assumingMemoryBound(to: UInt8.self), len, "note")) }
    session.note = copy
  }
}

@_cdecl("xverse_session_note")
public func xverse_session_note(
  _ session: OpaquePointer?, _ note: UnsafeMutablePointer<UnsafeRawPointer?>?, _ len: UnsafeMutablePointer<Int>?
) -> xverse_status {
  note?.pointee = nil
  return reading(session) { (session) throws(XverseError) in
    let note = try required(note, "note")
    let len = try required(len, "len")
    let found = session.note.elements
    note.pointee = UnsafeRawPointer(found.baseAddress)
    len.pointee = found.count
  }
}

@_cdecl("xverse_session_stats")
public func xverse_session_stats(_ session: OpaquePointer?, _ out: UnsafeMutablePointer<xverse_stats>?) -> xverse_status
{
  reading(session) { (session) throws(XverseError) in
    let stats = xverse_stats(
      session.statistics, kvBytes: session.cacheBytes, scratchBytes: session.runtime.scratchBytes)
    try deliver(stats, to: out, "out")
  }
}

@_cdecl("xverse_session_eval")
public func xverse_session_eval(
  _ session: OpaquePointer?, _ tokens: UnsafePointer<Int32>?, _ n: Int, _ cancel: OpaquePointer?,
  _ fn: xverse_progress_fn?, _ user: UnsafeMutableRawPointer?
) -> xverse_status {
  changing(session) { (session) throws(XverseError) in
    let tokens = try array(tokens, n, "tokens")
    let cancellation = try cancellation(cancel)
    guard fn != nil else { return try session.evaluate(tokens, cancellation: cancellation) }
    let reporter = ProgressReporter(function: fn, user: user)
    try session.evaluate(tokens, cancellation: cancellation) { (done, total) throws(XverseError) in
      try reporter.report("prefill", done, total)
    }
  }
}

@_cdecl("xverse_session_logits")
public func xverse_session_logits(
  _ session: OpaquePointer?, _ logits: UnsafeMutablePointer<UnsafePointer<Float>?>?, _ n: UnsafeMutablePointer<Int>?
) -> xverse_status {
  logits?.pointee = nil
  return reading(session) { (session) throws(XverseError) in
    let logits = try required(logits, "logits")
    let found = try session.requiredLogits()
    logits.pointee = found.baseAddress
    n?.pointee = found.count
  }
}

@_cdecl("xverse_session_top_logprobs")
public func xverse_session_top_logprobs(
  _ session: OpaquePointer?, _ k: Int32, _ tokens: UnsafeMutablePointer<Int32>?,
  _ logprobs: UnsafeMutablePointer<Float>?, _ n: UnsafeMutablePointer<Int>?
) -> xverse_status {
  reading(session) { (session) throws(XverseError) in
    let tokens = try required(tokens, "tokens")
    let logprobs = try required(logprobs, "logprobs")
    let n = try required(n, "n")
    guard k >= 0 else { throw .range("k is \(k), expected at least 0") }
    n.pointee = try session.topLogprobs(Int(k), tokens: tokens, logprobs: logprobs)
  }
}

@_cdecl("xverse_session_score")
public func xverse_session_score(
  _ session: OpaquePointer?, _ tokens: UnsafePointer<Int32>?, _ n: Int, _ cancel: OpaquePointer?,
  _ logprobs: UnsafeMutablePointer<Float>?, _ sum: UnsafeMutablePointer<Double>?
) -> xverse_status {
  changing(session) { (session) throws(XverseError) in
    let tokens = try array(tokens, n, "tokens")
    guard logprobs != nil || sum != nil else { throw .invalid("logprobs and sum are both NULL") }
    let cancellation = try cancellation(cancel)
    let scores = try Buffer<Float>(repeating: 0, count: max(1, n), allocator: session.runtime.allocator)
    guard let base = scores.mutableElements.baseAddress else { return }
    try session.score(tokens, into: base, cancellation: cancellation)
    logprobs?.update(from: base, count: n)
    sum?.pointee = scores.elements.prefix(n).reduce(0) { $0 + Double($1) }
  }
}

@_cdecl("xverse_session_eval_batch")
public func xverse_session_eval_batch(
  _ sessions: UnsafePointer<OpaquePointer?>?, _ tokens: UnsafePointer<UnsafePointer<Int32>?>?,
  _ n: UnsafePointer<Int>?, _ count: Int, _ cancel: OpaquePointer?
) -> xverse_status {
  reportingErrors { () throws(XverseError) in
    let sessions = try array(sessions, count, "sessions")
    let tokens = try array(tokens, count, "tokens")
    let n = try array(n, count, "n")
    guard count <= Session.sessionsPerBatch else {
      throw .range("n_sessions is \(count), expected at most \(Session.sessionsPerBatch)")
    }
    let cancellation = try cancellation(cancel)
    let handles = try distinctSessions(sessions)
    var parts: [(session: Session, tokens: UnsafeBufferPointer<Int32>)] = []
    for (index, handle) in handles.enumerated() {
      guard n[index] == 0 || tokens[index] != nil else { throw .invalid("tokens[\(index)] is NULL") }
      parts.append(
        (
          handle.session,
          UnsafeBufferPointer(start: tokens[index], count: try elementCount(n[index], of: Int32.self, "tokens"))
        ))
    }
    try changing(handles) { () throws(XverseError) in try Session.evaluate(parts, cancellation: cancellation) }
  }
}

private func distinctSessions(
  _ sessions: UnsafeBufferPointer<OpaquePointer?>
) throws(XverseError) -> [SessionHandle] {
  var places: [OpaquePointer: Int] = [:]
  var handles: [SessionHandle] = []
  for (index, session) in sessions.enumerated() {
    guard let session else { throw .invalid("sessions[\(index)] is NULL") }
    if let first = places.updateValue(index, forKey: session) {
      throw .invalid("sessions[\(index)] is the same session as sessions[\(first)]")
    }
    handles.append(try borrow(session, as: SessionHandle.self, "sessions"))
  }
  return handles
}

/// Runs `body` as the owner of all of the sessions.
private func changing(_ handles: [SessionHandle], _ body: () throws(XverseError) -> Void) throws(XverseError) {
  var entered = 0
  defer {
    for handle in handles[..<entered] {
      handle.length.store(handle.session.length, ordering: .relaxed)
      handle.leave()
    }
  }
  for handle in handles {
    try handle.enter("one of the sessions")
    entered += 1
  }
  try body()
}

@_cdecl("xverse_session_embed")
public func xverse_session_embed(
  _ session: OpaquePointer?, _ tokens: UnsafePointer<Int32>?, _ n: Int, _ pooling: Int32, _ cancel: OpaquePointer?,
  _ out: UnsafeMutablePointer<Float>?, _ capacity: Int, _ dim: UnsafeMutablePointer<Int>?
) -> xverse_status {
  changing(session) { (session) throws(XverseError) in
    let dim = try required(dim, "dim")
    dim.pointee = session.model.configuration.hiddenSize
    if out == nil && capacity == 0 { return }
    let out = try required(out, "out")
    guard capacity < 0 || capacity >= dim.pointee else {
      throw .range("the capacity of out is \(capacity), \(dim.pointee) are needed")
    }
    let tokens = try array(tokens, n, "tokens")
    guard n > 0 else { throw .range("n is 0, expected at least 1 token") }
    let flag = Int32(XVERSE_POOL_NORMALIZE)
    guard let kind = Session.Pooling(rawValue: pooling & ~flag) else {
      throw .invalid(
        "pooling is \(pooling), expected XVERSE_POOL_LAST or XVERSE_POOL_MEAN, with XVERSE_POOL_NORMALIZE or without")
    }
    try session.embed(
      tokens, kind, isNormalized: pooling & flag != 0, into: out, cancellation: try cancellation(cancel))
  }
}

/// Runs `body` as the session's owner.
func changing(
  _ session: OpaquePointer?, _ body: (Session) throws(XverseError) -> Void
) -> xverse_status {
  reportingErrors { () throws(XverseError) in
    let handle = try borrow(session, as: SessionHandle.self, "session")
    try handle.changing("session") { () throws(XverseError) in
      defer { handle.length.store(handle.session.length, ordering: .relaxed) }
      try body(handle.session)
    }
  }
}

private func reading(
  _ session: OpaquePointer?, allowedInCallback: Bool = true, _ body: (Session) throws(XverseError) -> Void
) -> xverse_status {
  reportingErrors(allowedInCallback: allowedInCallback) { () throws(XverseError) in
    let handle = try borrow(session, as: SessionHandle.self, "session")
    try handle.reading("session") { () throws(XverseError) in try body(handle.session) }
  }
}

extension SessionHandle {
  /// The length for any thread: exact for the owner, also inside its callbacks, else that of the last finished call.
  ///
  /// Never enters the session, which would keep its owner out meanwhile.
  fileprivate var currentLength: Int {
    isChangedByThisThread ? session.length : length.load(ordering: .relaxed)
  }
}

extension xverse_stats {
  init(_ statistics: SessionStatistics, kvBytes: Int, scratchBytes: Int) {
    self.init()
    finish_reason = statistics.finishReason.rawValue
    n_prompt = Int64(statistics.promptTokens)
    n_cached = Int64(statistics.cachedTokens)
    n_generated = Int64(statistics.generatedTokens)
    n_draft = Int64(statistics.draftTokens)
    n_draft_accepted = Int64(statistics.acceptedDraftTokens)
    ns_queue = statistics.queueTime
    ns_prefill = statistics.prefillTime
    ns_decode = statistics.decodeTime
    ns_first_token = statistics.firstTokenTime
    kv_bytes = Int64(kvBytes)
    scratch_bytes = Int64(scratchBytes)
  }
}
