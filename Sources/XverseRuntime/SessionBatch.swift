// SessionBatch.swift -- tokens of several sessions in passes that they share, so that each weight is read once for all.

import XverseCore
import XverseModels
import XverseTensors

extension Session {
  /// Most sessions that are evaluated together: a pass holds the last token of each.
  package static let sessionsPerBatch = XverseModel.tokensPerPass

  /// Appends to each session its tokens, leaving the logits after the last of them, as `evaluate` does one by one.
  ///
  /// - Parameter parts: Different sessions of one model and runtime, `sessionsPerBatch` at most; those without tokens stay
  ///   as they are.
  /// - Throws: `mismatch` for sessions that cannot share a pass; `range`, `contextFull`, `outOfMemory`: every session is as
  ///   before, but for ones that had to shift: `outOfMemory` may leave these empty. `cancelled`, `deadline`: each holds
  ///   what was evaluated until then.
  package static func evaluate(
    _ parts: [(session: Session, tokens: UnsafeBufferPointer<Int32>)], cancellation: Cancellation? = nil
  ) throws(XverseError) {
    guard let first = parts.first?.session else { return }
    for (index, part) in parts.enumerated() {
      try part.session.requireSharedPasses(with: first, index: index)
      try part.session.checkIDs(part.tokens, "tokens[\(index)]")
    }
    let batch = try SessionBatch(parts.filter { !$0.tokens.isEmpty }, first, cancellation)
    try batch.evaluate()
  }

  private func requireSharedPasses(with first: Session, index: Int) throws(XverseError) {
    guard model === first.model, runtime === first.runtime else {
      throw XverseError(.mismatch, "sessions[\(index)] and sessions[0] are of different models")
    }
    let (own, other) = (sequence.cache.layout.element, first.sequence.cache.layout.element)
    guard own == other else {
      throw XverseError(
        .mismatch, "sessions[\(index)] has kv_type \(own.rawValue), sessions[0] \(other.rawValue): they share no pass")
    }
  }
}

private final class KeptTokens {
  let buffer: Buffer<Int32>

  init(_ buffer: consuming Buffer<Int32>) { self.buffer = buffer }
}

/// One evaluation of several sessions.
private final class SessionBatch: ComputeWork {
  /// A session with what is still to be evaluated of its tokens.
  private struct Member {
    let session: Session
    /// All tokens of this evaluation.
    var tokens: UnsafeBufferPointer<Int32>
    /// Holds `tokens` when the session shifts: its recent tokens and the new ones.
    var kept: KeptTokens?
    /// What an error goes back to.
    var begin: Int
    var hadLogits: Bool
    var done = 0
    /// Tokens of the next pass.
    var chunk = 0

    var rest: Int { tokens.count - done }
    var chunkTokens: UnsafeBufferPointer<Int32> { UnsafeBufferPointer(rebasing: tokens[done..<done + chunk]) }
  }

  private var members: [Member] = []
  private let model: XverseModel
  private let runtime: Runtime
  private let cancellation: Cancellation?
  private let ticket = ComputeTicket()
  private var error: XverseError?

  /// Takes the memory for the tokens; only sessions that shift are changed, when all of it is there.
  init(
    _ parts: [(session: Session, tokens: UnsafeBufferPointer<Int32>)], _ first: Session, _ cancellation: Cancellation?
  ) throws(XverseError) {
    guard let model = first.model.model else { throw XverseError(.internal, "a session without a model") }
    self.model = model
    runtime = first.runtime
    self.cancellation = cancellation
    for (session, tokens) in parts {
      var member = Member(session: session, tokens: tokens, begin: session.length, hadLogits: session.hasLogits)
      if session.length + tokens.count > session.context {
        let kept = KeptTokens(try session.keepRecent(besides: tokens))
        (member.tokens, member.kept, member.begin, member.hadLogits) = (kept.buffer.elements, kept, 0, false)
      }
      members.append(member)
    }
    for member in members {
      if member.kept != nil { try member.session.sequence.cache.reserve(member.tokens.count, writingFrom: 0) }
      try member.session.sequence.reserveTokens(member.begin + member.tokens.count)
    }
    for member in members where member.kept != nil { member.session.truncate(to: 0) }
  }

  func evaluate() throws(XverseError) {
    do throws(XverseError) {
      for index in members.indices { try adoptKnown(index) }
      while fillPass() {
        runtime.computeThread.perform(self, with: ticket)
        if let error { throw error }
        for index in members.indices { try advance(index) }
      }
    } catch {
      if error.code != .cancelled && error.code != .deadline {
        for member in members {
          member.session.truncate(to: member.begin)
          member.session.hasLogits = member.hadLogits
        }
      }
      throw error
    }
  }

  private func adoptKnown(_ index: Int) throws(XverseError) {
    let session = members[index].session
    members[index].done = try session.sequence.adoptKnown(members[index].tokens)
    session.adoptedTokens = members[index].done
    session.statistics.promptTokens = members[index].tokens.count
    session.statistics.cachedTokens = members[index].done
    session.statistics.queueTime = 0
    if members[index].done > 0 { session.hasLogits = false }
  }

  private func advance(_ index: Int) throws(XverseError) {
    let member = members[index]
    guard member.chunk > 0 else { return }
    try member.session.sequence.append(member.chunkTokens)
    member.session.hasLogits = member.rest == member.chunk
    member.session.statistics.queueTime += ticket.queueTime
    members[index].done += member.chunk
  }

  /// Shares a pass out among the sessions; returns false when nothing is left. The last tokens of all sessions share the
  /// last pass, so until it ends every session has its old logits.
  private func fillPass() -> Bool {
    let rest = members.reduce(0) { $0 + $1.rest }
    let isLast = rest <= XverseModel.tokensPerPass
    var room = XverseModel.tokensPerPass
    for index in members.indices {
      members[index].chunk = min(room, members[index].rest - (isLast ? 0 : 1))
      room -= members[index].chunk
    }
    return rest > 0
  }

  /// Whether the pass ends all sequences.
  private var isLastPass: Bool { members.allSatisfy { $0.chunk == $0.rest } }

  func run() {
    error = nil
    let lengths = members.map { $0.session.sequence.cache.length }
    do throws(XverseError) { try forward() } catch {
      for (member, length) in zip(members, lengths) { member.session.sequence.cache.truncate(to: length) }
      self.error = error
    }
    runtime.noteArenaSize()
  }

  private func forward() throws(XverseError) {
    let isLast = isLastPass
    var batch = TokenBatch()
    for member in members where member.chunk > 0 {
      batch.append(
        member.chunkTokens, to: member.session.sequence.cache, sequenceLength: member.begin + member.tokens.count,
        outputs: (isLast ? member.chunk - 1 : member.chunk)..<member.chunk)
    }
    let logits = try model.logits(
      of: batch, kernels: runtime.kernels, arena: runtime.arena, cancellation: cancellation)
    guard isLast else { return }
    for (row, member) in members.enumerated() {
      let memory = member.session.logitsMemory
      memory.baseAddress?.update(from: logits.data + row * logits.columns, count: memory.count)
    }
  }
}
