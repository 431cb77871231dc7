// Model.swift -- a loaded model, and what can be done with the files of one.

internal import CXverse

/// How far a long call is: a phase as in xverse.h, `done` of `total` in bytes, layers or tokens.
public struct Progress: Hashable, Sendable {
  public let phase: String
  public let done: Int
  public let total: Int
}

/// Receives progress, on a thread of the library's.
public typealias ProgressHandler = @Sendable (Progress) -> Void

/// The C function behind a ProgressHandler.
let progressFunction: xverse_progress_fn = { user, phase, done, total in
  Box<ProgressHandler>.closure(user)?(
    Progress(phase: phase.map { String(cString: $0) } ?? "", done: Int(done), total: Int(total)))
  return 0
}

/// A loaded model: weights, configuration, tokenizer. Immutable: any number of tasks may use it.
public final class Model: Sendable {
  let handle: Handle

  /// The model's tokenizer.
  public let tokenizer: Tokenizer

  /// Loads a model, on a thread of its own; cancelling the task ends that.
  ///
  /// - Parameters:
  ///   - path: A Hugging Face directory, or a GGUF file.
  ///   - options: Quantization, checks, mapping.
  ///   - runtime: Compute threads and memory.
  ///   - progress: Called in phases "load", "import", "verify" and "quantize", in bytes.
  /// - Throws: `notFound`, `inputOutput`, `corrupt`, `unsupported`, `unsafe`, `limit`: each names the file and the field
  ///   or tensor; `invalid`, `range` (an option), `outOfMemory`, `cancelled`.
  public init(
    _ path: String, options: ModelOptions = ModelOptions(), runtime: Runtime = .default,
    progress: ProgressHandler? = nil
  ) async throws(XverseError) {
    let options = try options.handle()
    handle = try await BlockingWork.run { (cancellation) throws(XverseError) in
      try Handle(free: { xverse_model_release($0) }) { out in
        withUser(progress) { user in
          xverse_model_load(
            runtime.handle?.pointer, path, options.pointer, cancellation.pointer,
            user == nil ? nil : progressFunction, user, out)
        }
      }
    }
    tokenizer = Tokenizer(of: handle)
  }

  /// A stream of the answer's text, from a session of its own. What conversations have in common is computed once
  /// all the same. A cancelled task, or leaving the loop, ends the answer at once.
  public func chat(
    _ messages: [Message], options: SamplingOptions = SamplingOptions()
  ) -> AsyncThrowingStream<String, any Error> {
    textStream { send in
      _ = try await Session(self).generate(.messages(messages), options: options) { event in
        send(event.text)
        return true
      }
    }
  }

  /// What a model is.
  public struct Info: Hashable, Sendable {
    /// Last component of the path.
    public var name: String
    /// "xverse" or "llama".
    public var architecture: String
    /// Type of the matrices, such as "bf16" or "int4".
    public var quantization: String
    /// How many.
    public var parameters: Int
    /// Of the tensors as stored, or as quantized.
    public var weightBytes: Int
    public var layers: Int
    public var hiddenSize: Int
    public var intermediateSize: Int
    public var heads: Int
    public var kvHeads: Int
    public var vocabularySize: Int
    /// Most tokens that the model was trained for.
    public var contextLength: Int
  }

  public func info() throws(XverseError) -> Info {
    var info = xverse_model_info()
    info.size = UInt32(MemoryLayout<xverse_model_info>.size)
    try check(xverse_model_get_info(handle.pointer, &info))
    return Info(
      name: String(cString: info.name), architecture: String(cString: info.arch),
      quantization: String(cString: info.quant), parameters: Int(info.n_params), weightBytes: Int(info.weight_bytes),
      layers: Int(info.n_layers), hiddenSize: Int(info.n_embd), intermediateSize: Int(info.n_ff),
      heads: Int(info.n_heads), kvHeads: Int(info.n_kv_heads), vocabularySize: Int(info.n_vocab),
      contextLength: Int(info.n_ctx_train))
  }

  /// Perplexity of a text, and its standard error. Errors: `range` (fewer than two tokens), `cancelled`.
  public func perplexity(
    _ text: String, options: ScoringOptions = ScoringOptions(), progress: ProgressHandler? = nil
  ) async throws(XverseError) -> (perplexity: Double, standardError: Double) {
    let options = try options.handle()
    return try await BlockingWork.run { [handle] (cancellation) throws(XverseError) in
      var perplexity = 0.0
      var standardError = 0.0
      try check(
        withUser(progress) { user in
          text.withBytes { bytes, count in
            xverse_model_perplexity(
              handle.pointer, bytes, count, options.pointer, cancellation.pointer,
              user == nil ? nil : progressFunction, user, &perplexity, &standardError)
          }
        })
      return (perplexity, standardError)
    }
  }
}

// MARK: the files of a model

/// Bytes that a model and one session will take.
public struct MemoryEstimate: Hashable, Sendable {
  /// Weights in memory of the process, and the tokenizer.
  public var weightsResident: Int
  /// Weights used where the files are mapped.
  public var weightsMapped: Int
  /// Most memory held while loading.
  public var loadPeak: Int
  /// Keys and values of one token.
  public var kvPerToken: Int
  /// Keys and values of a full context.
  public var kvTotal: Int
  /// Work memory of a prefill, and a session's logits.
  public var scratch: Int
  /// Of all that stays.
  public var total: Int
  /// Memory that the system could give now; nil when that is unknown.
  public var hostAvailable: Int?
}

extension Model {
  /// What the model at `path` is, as a JSON object, from the headers of its files only.
  public static func inspect(
    _ path: String, options: ModelOptions = ModelOptions()
  ) async throws(XverseError) -> String {
    let options = try options.handle()
    return try await BlockingWork.run { (_) throws(XverseError) in
      var json: UnsafeMutablePointer<CChar>?
      try check(xverse_model_inspect(path, options.pointer, &json, nil))
      return String(taking: json)
    }
  }

  /// How much memory the model at `path` needs, together with one session.
  public static func estimate(
    _ path: String, options: ModelOptions = ModelOptions(), session: SessionOptions = SessionOptions()
  ) async throws(XverseError) -> MemoryEstimate {
    let options = try options.handle()
    let session = try session.handle()
    return try await BlockingWork.run { (_) throws(XverseError) in
      var estimate = xverse_memory_estimate()
      estimate.size = UInt32(MemoryLayout<xverse_memory_estimate>.size)
      try check(xverse_model_estimate(path, options.pointer, session.pointer, &estimate))
      return MemoryEstimate(
        weightsResident: Int(estimate.weights_resident), weightsMapped: Int(estimate.weights_mapped),
        loadPeak: Int(estimate.load_peak), kvPerToken: Int(estimate.kv_per_token), kvTotal: Int(estimate.kv_total),
        scratch: Int(estimate.scratch), total: Int(estimate.total),
        hostAvailable: estimate.host_available == 0 ? nil : Int(estimate.host_available))
    }
  }

  /// Writes the model at `source` to `destination`, which must not exist and appears whole or not at all.
  public static func convert(
    _ source: String, to destination: String, options: ConversionOptions = ConversionOptions(),
    runtime: Runtime = .default, progress: ProgressHandler? = nil
  ) async throws(XverseError) {
    let options = try options.handle()
    try await BlockingWork.run { (cancellation) throws(XverseError) in
      try check(
        withUser(progress) { user in
          xverse_convert(
            runtime.handle?.pointer, source, destination, options.pointer, cancellation.pointer,
            user == nil ? nil : progressFunction, user)
        })
    }
  }
}
