// Sampler.swift -- choosing tokens in a loop of one's own.

internal import CXverse

/// Random numbers and penalties of one sequence, for programs that evaluate and choose by themselves.
public final class Sampler {
  private let handle: Handle

  /// Errors: `range` (a `logitBias` id outside the vocabulary), `corrupt` (a default of the model's that cannot be used).
  public init(_ model: Model, options: SamplingOptions = SamplingOptions()) throws(XverseError) {
    let options = try options.handle()
    handle = try Handle(free: { xverse_sampler_free($0) }) {
      xverse_sampler_create(model.handle.pointer, options.pointer, $0)
    }
  }

  private init(_ handle: Handle) { self.handle = handle }

  /// A copy with the same history and random numbers.
  public func clone() throws(XverseError) -> Sampler {
    Sampler(try Handle(free: { xverse_sampler_free($0) }) { xverse_sampler_clone(handle.pointer, $0) })
  }

  /// Chooses a token from logits `[vocabularySize]`, and says how probable it was under them. It is not accepted yet.
  public func sample(_ logits: [Float]) throws(XverseError) -> (token: Int32, logprob: Float) {
    var token: Int32 = 0
    var logprob: Float = 0
    try check(logits.withElements { xverse_sampler_sample(handle.pointer, $0, $1, &token, &logprob) })
    return (token, logprob)
  }

  /// Adds a token to the history that the penalties look at. Errors: `range`.
  public func accept(_ token: Int32) throws(XverseError) { try check(xverse_sampler_accept(handle.pointer, token)) }
}
