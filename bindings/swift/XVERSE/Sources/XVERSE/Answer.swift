// Answer.swift -- what was generated, and how it comes.

internal import CXverse

/// Why generation ended.
public enum FinishReason: Hashable, Sendable {
  /// It has not.
  case none
  /// An end-of-sequence token.
  case endOfSequence
  /// A stop string.
  case stop
  /// `maxNewTokens`, or the context.
  case length
  /// The `onEvent` closure.
  case callback
  case cancelled, deadline, error
  /// A reason that this package does not know, of a newer library.
  case other(Int32)

  init(_ reason: Int32) {
    self =
      switch Int(reason) {
      case XVERSE_FINISH_NONE: .none
      case XVERSE_FINISH_EOS: .endOfSequence
      case XVERSE_FINISH_STOP: .stop
      case XVERSE_FINISH_LENGTH: .length
      case XVERSE_FINISH_CALLBACK: .callback
      case XVERSE_FINISH_CANCELLED: .cancelled
      case XVERSE_FINISH_DEADLINE: .deadline
      case XVERSE_FINISH_ERROR: .error
      default: .other(reason)
      }
  }
}

/// Figures of an evaluation or generation.
public struct Statistics: Hashable, Sendable {
  public var finishReason: FinishReason
  /// Tokens of the prompt.
  public var promptTokens: Int
  /// Of these, those that were known already.
  public var cachedTokens: Int
  /// An ending end-of-sequence token included.
  public var generatedTokens: Int
  /// Tokens guessed and evaluated.
  public var draftTokens: Int
  /// Of these, those that were then chosen.
  public var acceptedDraftTokens: Int
  /// Waiting for the compute thread; in a scheduler, until the answer first ran.
  public var queueTime: Duration
  /// Evaluating the prompt.
  public var prefillTime: Duration
  /// Everything after the first token was chosen.
  public var decodeTime: Duration
  /// From the call to the first token.
  public var firstTokenTime: Duration
  /// Size of the keys and values; in a scheduler, of all of the runtime.
  public var kvBytes: Int
  /// Size of the work memory, which all sessions share.
  public var scratchBytes: Int

  init(_ stats: xverse_stats) {
    finishReason = FinishReason(stats.finish_reason)
    promptTokens = Int(stats.n_prompt)
    cachedTokens = Int(stats.n_cached)
    generatedTokens = Int(stats.n_generated)
    draftTokens = Int(stats.n_draft)
    acceptedDraftTokens = Int(stats.n_draft_accepted)
    queueTime = .nanoseconds(stats.ns_queue)
    prefillTime = .nanoseconds(stats.ns_prefill)
    decodeTime = .nanoseconds(stats.ns_decode)
    firstTokenTime = .nanoseconds(stats.ns_first_token)
    kvBytes = Int(stats.kv_bytes)
    scratchBytes = Int(stats.scratch_bytes)
  }
}

/// A finished answer.
public struct Answer: Hashable, Sendable {
  /// Without stop string and special tokens.
  public var text: String
  /// An ending end-of-sequence token included.
  public var tokens: [Int32]
  /// Of each token; nil without the option `logprobs`.
  public var logprobs: [Float]?
  public var statistics: Statistics

  public var finishReason: FinishReason { statistics.finishReason }
}

/// What happens while an answer is made.
public enum GenerationEvent: Hashable, Sendable {
  /// Part of the prompt was evaluated, in tokens.
  case prefill(done: Int, total: Int)
  /// Tokens were generated; `text` is what became certain, whole characters, possibly nothing.
  case tokens([Int32], text: String, logprobs: [Float]?)

  init(_ event: xverse_event) {
    if Int(event.kind) == XVERSE_EVENT_PREFILL {
      self = .prefill(done: Int(event.n_prompt_done), total: Int(event.n_prompt_total))
    } else {
      self = .tokens(
        Array(UnsafeBufferPointer(start: event.tokens, count: event.n_tokens)),
        text: String(bytes: event.text, count: event.text_len),
        logprobs: event.logprobs.map { Array(UnsafeBufferPointer(start: $0, count: event.n_tokens)) })
    }
  }

  /// The text that became certain; empty while the prompt is evaluated.
  public var text: String {
    if case .tokens(_, let text, _) = self { text } else { "" }
  }
}

/// Receives what happens, on a thread of the library's; `false` ends the answer.
public typealias EventHandler = @Sendable (GenerationEvent) -> Bool

/// A stream of texts from `work`, which is cancelled when nobody reads on.
func textStream(
  _ work: @escaping @Sendable (@escaping @Sendable (String) -> Void) async throws -> Void
) -> AsyncThrowingStream<String, any Error> {
  AsyncThrowingStream { continuation in
    let task = Task {
      do {
        try await work { text in
          if !text.isEmpty { continuation.yield(text) }
        }
        continuation.finish()
      } catch {
        continuation.finish(throwing: error)
      }
    }
    continuation.onTermination = { _ in task.cancel() }
  }
}
