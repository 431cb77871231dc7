// Options.swift -- the options of xverse.h as values: nil is the default, the names in JSON are the library's.

internal import CXverse

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Options of one kind.
protocol OptionGroup: Codable, Hashable, Sendable {
  static var kind: Int { get }
}

extension OptionGroup {
  /// The options as the library takes them. Errors: as xverse_options_set_json.
  func handle() throws(XverseError) -> Handle {
    let handle = try Handle(free: { xverse_options_free($0) }) { xverse_options_create(Int32(Self.kind), $0) }
    let json: Data
    do {
      json = try JSONEncoder().encode(self)
    } catch {
      throw XverseError(.range, "an option has a value that JSON cannot express: \(error)")
    }
    try check(String(decoding: json, as: UTF8.self).withBytes { xverse_options_set_json(handle.pointer, $0, $1) })
    return handle
  }
}

/// Who starts the compute threads.
public enum Threading: String, Codable, Sendable { case auto, openmp, pthread }

/// What float weights become: as they are, 8.5 or 4.5 bits each.
public enum Quantization: String, Codable, Sendable { case none, int8, int4 }

/// Whether weights stay in the files' mapping, shared between processes, or are read to private memory.
public enum LoadMode: String, Codable, Sendable { case mmap, read }

/// Whether only headers are checked, or that every weight is finite, too.
public enum Verification: String, Codable, Sendable { case header, values }

/// Element type of the KV cache.
public enum KVType: String, Codable, Sendable { case f32, f16, int8 }

/// What happens when a context is full: an error, or its older half is dropped.
public enum Overflow: String, Codable, Sendable { case error, shift }

/// What a conversion writes.
public enum FileFormat: String, Codable, Sendable { case safetensors, gguf }

/// Type of the matrices in a GGUF file.
public enum GGUFType: String, Codable, Sendable { case f16, q8_0, q4_0 }

/// Threads and memory of a runtime.
public struct RuntimeOptions: OptionGroup {
  /// Compute threads; default: `XVERSE_NUM_THREADS`, or the CPUs that the process may use.
  public var threads: Int?
  /// Who starts the compute threads; default: `XVERSE_THREADING`, or `auto`.
  public var threading: Threading?
  /// Most bytes of memory held at a time, mapped files not counted; 0: no limit.
  public var memoryLimit: Int?
  /// Which kernels compute: `auto`, `reference`, `avx2`, `avxvnni`, `avx512` or `neon`.
  public var instructionSet: String?

  public init(
    threads: Int? = nil, threading: Threading? = nil, memoryLimit: Int? = nil, instructionSet: String? = nil
  ) {
    self.threads = threads
    self.threading = threading
    self.memoryLimit = memoryLimit
    self.instructionSet = instructionSet
  }

  enum CodingKeys: String, CodingKey, CaseIterable {
    case threads
    case threading
    case memoryLimit = "memory_limit"
    case instructionSet = "isa"
  }

  static var kind: Int { XVERSE_OPTIONS_RUNTIME }
}

/// How a model is loaded.
public struct ModelOptions: OptionGroup {
  /// What float weights become while they are read.
  public var quantize: Quantization?
  /// Path of a text to quantize on; an hour or more for 7B.
  public var calibration: String?
  /// Whether weights stay in the files' mapping or are read.
  public var load: LoadMode?
  /// Whether the values are checked, too.
  public var verify: Verification?
  /// Path of a tokenizer.json, its directory or a GGUF file, in place of the model's own tokenizer.
  public var tokenizer: String?
  /// Load configuration and tokenizer only.
  public var vocabOnly: Bool?
  /// Base of the rotary frequencies; default: config.json's.
  public var ropeTheta: Double?
  /// `none`, `linear:FACTOR` or `dynamic:FACTOR`; default: config.json's.
  public var ropeScaling: String?
  /// Most bytes of keys and values kept for prompts that begin as earlier ones did; 0: none.
  public var prefixCache: Int?

  public init(
    quantize: Quantization? = nil, calibration: String? = nil, load: LoadMode? = nil, verify: Verification? = nil,
    tokenizer: String? = nil, vocabOnly: Bool? = nil, ropeTheta: Double? = nil, ropeScaling: String? = nil,
    prefixCache: Int? = nil
  ) {
    self.quantize = quantize
    self.calibration = calibration
    self.load = load
    self.verify = verify
    self.tokenizer = tokenizer
    self.vocabOnly = vocabOnly
    self.ropeTheta = ropeTheta
    self.ropeScaling = ropeScaling
    self.prefixCache = prefixCache
  }

  enum CodingKeys: String, CodingKey, CaseIterable {
    case quantize
    case calibration
    case load
    case verify
    case tokenizer
    case vocabOnly = "vocab_only"
    case ropeTheta = "rope_theta"
    case ropeScaling = "rope_scaling"
    case prefixCache = "prefix_cache"
  }

  static var kind: Int { XVERSE_OPTIONS_MODEL }
}

/// Size and type of a session's context.
public struct SessionOptions: OptionGroup {
  /// Most tokens; default: the model's `contextLength`.
  public var context: Int?
  /// Element type of the keys and values.
  public var kvType: KVType?
  /// What happens when the context is full.
  public var overflow: Overflow?

  public init(
    context: Int? = nil, kvType: KVType? = nil, overflow: Overflow? = nil
  ) {
    self.context = context
    self.kvType = kvType
    self.overflow = overflow
  }

  enum CodingKeys: String, CodingKey, CaseIterable {
    case context
    case kvType = "kv_type"
    case overflow
  }

  static var kind: Int { XVERSE_OPTIONS_SESSION }
}

/// How tokens are chosen, with Hugging Face's names and meanings; what is nil follows the model's generation_config.json.
public struct SamplingOptions: OptionGroup {
  /// Draw from the distribution instead of taking the most probable token.
  public var doSample: Bool?
  /// Divides the logits; 0 is greedy, above 0 also sets `doSample`.
  public var temperature: Double?
  /// Keep the k most probable tokens; 0: off.
  public var topK: Int?
  /// Keep the most probable tokens that reach this probability together; 1: off.
  public var topP: Double?
  /// Keep tokens at least this probable relative to the most probable; 0: off.
  public var minP: Double?
  /// Keep the most typical tokens that reach this probability together; 1: off.
  public var typicalP: Double?
  /// Over prompt and output; 1: off.
  public var repetitionPenalty: Double?
  /// How many last tokens `repetitionPenalty` looks at; 0: all.
  public var repeatLastN: Int?
  /// OpenAI's, over the generated tokens; 0: off.
  public var frequencyPenalty: Double?
  /// OpenAI's, over the generated tokens; 0: off.
  public var presencePenalty: Double?
  /// Of the random numbers; -1: from the system.
  public var seed: Int?
  /// Most tokens to generate; 0: evaluate the prompt only.
  public var maxNewTokens: Int?
  /// Generation ends before the first of these, which is not shown.
  public var stop: [String]?
  /// Added to the logits of these tokens.
  public var logitBias: [Int: Double]?
  /// End-of-sequence tokens do not end generation.
  public var ignoreEOS: Bool?
  /// Also return the log-probability of every generated token.
  public var logprobs: Bool?
  /// End generation after this time, with `FinishReason.deadline`; 0: none.
  public var deadlineMilliseconds: Int?
  /// Answers to one prompt, of a scheduler.
  public var n: Int?
  /// In a scheduler, lower numbers go first.
  public var priority: Int?
  /// Most tokens to guess from what prompt and answer repeat; changes speed only.
  public var promptLookupNumTokens: Int?
  /// Most tokens that the draft model guesses at a time; changes speed only.
  public var numAssistantTokens: Int?

  public init(
    doSample: Bool? = nil, temperature: Double? = nil, topK: Int? = nil, topP: Double? = nil, minP: Double? = nil,
    typicalP: Double? = nil, repetitionPenalty: Double? = nil, repeatLastN: Int? = nil, frequencyPenalty: Double? = nil,
    presencePenalty: Double? = nil, seed: Int? = nil, maxNewTokens: Int? = nil, stop: [String]? = nil,
    logitBias: [Int: Double]? = nil, ignoreEOS: Bool? = nil, logprobs: Bool? = nil, deadlineMilliseconds: Int? = nil,
    n: Int? = nil, priority: Int? = nil, promptLookupNumTokens: Int? = nil, numAssistantTokens: Int? = nil
  ) {
    self.doSample = doSample
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.minP = minP
    self.typicalP = typicalP
    self.repetitionPenalty = repetitionPenalty
    self.repeatLastN = repeatLastN
    self.frequencyPenalty = frequencyPenalty
    self.presencePenalty = presencePenalty
    self.seed = seed
    self.maxNewTokens = maxNewTokens
    self.stop = stop
    self.logitBias = logitBias
    self.ignoreEOS = ignoreEOS
    self.logprobs = logprobs
    self.deadlineMilliseconds = deadlineMilliseconds
    self.n = n
    self.priority = priority
    self.promptLookupNumTokens = promptLookupNumTokens
    self.numAssistantTokens = numAssistantTokens
  }

  enum CodingKeys: String, CodingKey, CaseIterable {
    case doSample = "do_sample"
    case temperature
    case topK = "top_k"
    case topP = "top_p"
    case minP = "min_p"
    case typicalP = "typical_p"
    case repetitionPenalty = "repetition_penalty"
    case repeatLastN = "repeat_last_n"
    case frequencyPenalty = "frequency_penalty"
    case presencePenalty = "presence_penalty"
    case seed
    case maxNewTokens = "max_new_tokens"
    case stop
    case logitBias = "logit_bias"
    case ignoreEOS = "ignore_eos"
    case logprobs
    case deadlineMilliseconds = "deadline_ms"
    case n
    case priority
    case promptLookupNumTokens = "prompt_lookup_num_tokens"
    case numAssistantTokens = "num_assistant_tokens"
  }

  static var kind: Int { XVERSE_OPTIONS_SAMPLING }
}

/// Size of a scheduler, with vLLM's names.
public struct SchedulerOptions: OptionGroup {
  /// Most answers that run together.
  public var maxNumSeqs: Int?
  /// Most tokens of prompts in one pass.
  public var maxNumBatchedTokens: Int?
  /// Most answers beyond `maxNumSeqs` that wait.
  public var maxQueuedRequests: Int?
  /// Most tokens of a prompt with its answer; default: the model's `contextLength`.
  public var context: Int?
  /// Element type of the keys and values.
  public var kvType: KVType?

  public init(
    maxNumSeqs: Int? = nil, maxNumBatchedTokens: Int? = nil, maxQueuedRequests: Int? = nil, context: Int? = nil,
    kvType: KVType? = nil
  ) {
    self.maxNumSeqs = maxNumSeqs
    self.maxNumBatchedTokens = maxNumBatchedTokens
    self.maxQueuedRequests = maxQueuedRequests
    self.context = context
    self.kvType = kvType
  }

  enum CodingKeys: String, CodingKey, CaseIterable {
    case maxNumSeqs = "max_num_seqs"
    case maxNumBatchedTokens = "max_num_batched_tokens"
    case maxQueuedRequests = "max_queued_requests"
    case context
    case kvType = "kv_type"
  }

  static var kind: Int { XVERSE_OPTIONS_SCHEDULER }
}

/// What a converted model is.
public struct ConversionOptions: OptionGroup {
  /// What float weights become.
  public var quantize: Quantization?
  /// Path of a text to quantize on; an hour or more for 7B.
  public var calibration: String?
  /// Path of a tokenizer.json, its directory or a GGUF file, in place of the model's own tokenizer.
  public var tokenizer: String?
  /// Most bytes of weights in one file; 0: one file.
  public var maxShardSize: Int?
  /// A Hugging Face directory, or a GGUF file.
  public var format: FileFormat?
  /// Of a GGUF file's matrices.
  public var type: GGUFType?

  public init(
    quantize: Quantization? = nil, calibration: String? = nil, tokenizer: String? = nil, maxShardSize: Int? = nil,
    format: FileFormat? = nil, type: GGUFType? = nil
  ) {
    self.quantize = quantize
    self.calibration = calibration
    self.tokenizer = tokenizer
    self.maxShardSize = maxShardSize
    self.format = format
    self.type = type
  }

  enum CodingKeys: String, CodingKey, CaseIterable {
    case quantize
    case calibration
    case tokenizer
    case maxShardSize = "max_shard_size"
    case format
    case type
  }

  static var kind: Int { XVERSE_OPTIONS_CONVERT }
}

/// How perplexity is measured.
public struct ScoringOptions: OptionGroup {
  /// Tokens in a window; default: the model's `contextLength`, at most 2048.
  public var context: Int?
  /// Every window begins with the BOS token.
  public var bos: Bool?
  /// Score at most this many windows; 0: all.
  public var windows: Int?

  public init(
    context: Int? = nil, bos: Bool? = nil, windows: Int? = nil
  ) {
    self.context = context
    self.bos = bos
    self.windows = windows
  }

  enum CodingKeys: String, CodingKey, CaseIterable {
    case context
    case bos
    case windows
  }

  static var kind: Int { XVERSE_OPTIONS_SCORE }
}
