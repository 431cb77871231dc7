// OptionTable.swift -- all option keys: their types, bounds, defaults and one sentence each. What xverse.h says about
// options is said here once more, for programs.

import CXverse

enum OptionKind: Int32 {
  case runtime = 1
  case model = 2
  case session = 3
  case sampling = 4
  case convert = 6
  case score = 7

  var name: StaticString {
    switch self {
    case .runtime: "RUNTIME"
    case .model: "MODEL"
    case .session: "SESSION"
    case .sampling: "SAMPLING"
    case .convert: "CONVERT"
    case .score: "SCORE"
    }
  }

  var definitions: [OptionDefinition] {
    switch self {
    case .runtime: OptionTable.runtime
    case .model: OptionTable.model
    case .session: OptionTable.session
    case .sampling: OptionTable.sampling
    case .convert: OptionTable.convert
    case .score: OptionTable.score
    }
  }
}

/// One key.
struct OptionDefinition: Sendable {
  enum Kind: Int32 {
    case int = 1
    case float = 2
    case string = 3
    case json = 4
  }

  let key: StaticString
  let kind: Kind
  /// Inclusive bounds of a number.
  var bounds: ClosedRange<Double> = 0...0
  /// NaN when it comes from the model or the machine.
  var standard = Double.nan
  /// Separated by "|"; one that ends in ":" is followed by a number.
  var choices: StaticString?
  let doc: StaticString

  var isNumber: Bool { kind == .int || kind == .float }

  /// The choices one by one; none for what is no string.
  var allowedStrings: [String] { choices.map { "\($0)".split(separator: "|").map(String.init) } ?? [] }

  static func int(
    _ key: StaticString, _ bounds: ClosedRange<Double>, standard: Double = .nan, _ doc: StaticString
  ) -> Self {
    Self(key: key, kind: .int, bounds: bounds, standard: standard, doc: doc)
  }

  static func float(
    _ key: StaticString, _ bounds: ClosedRange<Double>, standard: Double = .nan, _ doc: StaticString
  ) -> Self {
    Self(key: key, kind: .float, bounds: bounds, standard: standard, doc: doc)
  }

  static func string(_ key: StaticString, choices: StaticString, _ doc: StaticString) -> Self {
    Self(key: key, kind: .string, choices: choices, doc: doc)
  }

  /// A string that can be anything.
  static func path(_ key: StaticString, _ doc: StaticString) -> Self { Self(key: key, kind: .string, doc: doc) }

  static func json(_ key: StaticString, _ doc: StaticString) -> Self { Self(key: key, kind: .json, doc: doc) }
}

enum OptionTable {
  /// The largest whole number that a double holds exactly.
  private static let large = 0x1p53
  private static let largestContext = 0x1p24
  /// The largest finite Float, which sampling computes with.
  private static let largestFloat = Double(Float.greatestFiniteMagnitude)

  static let runtime: [OptionDefinition] = [
    .int("threads", 1...1024, "Compute threads; default: the CPUs this process may use, or XVERSE_NUM_THREADS."),
    .int("memory_limit", 0...large, standard: 0, "Most bytes held at a time, mapped files not counted; 0: no limit."),
    .string("isa", choices: "auto|reference|avx2|avxvnni|avx512|neon", "Which kernels compute; auto: the best ones."),
  ]

  private static let quantize = OptionDefinition.string(
    "quantize", choices: "none|int8|int4", "Make float weights a half or a quarter of bf16.")
  private static let calibration = OptionDefinition.path(
    "calibration", "A text file to quantize on: better answers for minutes of work; needs quantize.")

  private static let tokenizer = OptionDefinition.path(
    "tokenizer", "A tokenizer.json, its directory or a .gguf file to take the tokenizer from.")

  static let model: [OptionDefinition] = [
    quantize, calibration,
    .string("load", choices: "mmap|read", "Use weights where the files are mapped, or read a private copy."),
    .string("verify", choices: "header|values", "Check headers only, or also that every weight is finite."),
    tokenizer,
    .int("vocab_only", 0...1, standard: 0, "1: load configuration and tokenizer only."),
    .float("rope_theta", 1...0x1p40, "Base of the rotary frequencies; default: config.json's."),
    .string("rope_scaling", choices: "none|linear:|dynamic:", "Rotary scaling and its factor, as in dynamic:2."),
  ]

  static let session: [OptionDefinition] = [
    .int("context", 1...largestContext, "Most tokens; default: the model's n_ctx_train."),
    .string("kv_type", choices: "f32|f16|int8", "Element type of the KV cache."),
    .string("overflow", choices: "error|shift", "Fail when the context is full, or go on with its newer half."),
  ]

  static let sampling: [OptionDefinition] = [
    .int("do_sample", 0...1, "0: the most probable token; 1: draw from the distribution."),
    .float("temperature", 0...largestFloat, "Divides the logits; 0: greedy; above 0 also sets do_sample."),
    .int("top_k", 0...2_147_483_647, "Keep the k most probable tokens; 0: off."),
    .float("top_p", 0...1, "Keep the most probable tokens that reach this probability together; 1: off."),
    .float("min_p", 0...1, "Keep tokens at least this probable relative to the most probable; 0: off."),
    .float("typical_p", 0...1, "Keep the most typical tokens that reach this probability together; 1: off."),
    .float("repetition_penalty", 0x1p-20...0x1p20, "Penalty on tokens of prompt and output; 1: off."),
    .int("repeat_last_n", 0...largestContext, standard: 0, "Last tokens repetition_penalty looks at; 0: all."),
    .float("frequency_penalty", -2...2, standard: 0, "Subtracted for each time a token was generated."),
    .float("presence_penalty", -2...2, standard: 0, "Subtracted from tokens that were generated."),
    .int("seed", -1...large, standard: -1, "Seed of the random numbers; -1: from the system."),
    .int("max_new_tokens", 0...largestContext, "Most tokens to generate; default: the model's, else the context."),
    .json("stop", "Strings that end generation: a JSON array of at most 256 strings of at most 4096 bytes."),
    .json("logit_bias", "Added to logits: a JSON object of token ids and numbers."),
    .int("ignore_eos", 0...1, standard: 0, "1: end-of-sequence tokens do not end generation."),
    .int("logprobs", 0...1, standard: 0, "1: return the log-probability of every generated token."),
    .int("deadline_ms", 0...large, standard: 0, "Milliseconds after which generation ends; 0: no limit."),
  ]

  static let convert: [OptionDefinition] = [
    quantize, calibration, tokenizer,
    .int("max_shard_size", 0...large, standard: 0, "Most bytes of weights in one file; 0: one file for all."),
    .string("format", choices: "safetensors|gguf", "What to write: a Hugging Face directory, or a GGUF file."),
    .string("type", choices: "f16|q8_0|q4_0", "Type of the matrices in a GGUF file; default: f16."),
  ]

  static let score: [OptionDefinition] = [
    .int("context", 2...largestContext, "Tokens in a window; default: n_ctx_train, at most 2048."),
    .int("bos", 0...1, standard: 0, "1: every window begins with the BOS token."),
    .int("windows", 0...2_147_483_647, standard: 0, "Most windows to score; 0: all."),
  ]
}
