// OptionTable.swift -- the options: key, bounds or choices, the member that is set, unit, default, and one sentence.
//
// To add one, write its row here, the member that it sets, and its lines in section 2 of xverse.h, which a test
// compares with the rows. Parsing, xverse_options_describe and the help of the tool follow from the row.

import XverseConversion
import XverseLoading
import XverseModels
import XverseRuntime
import XverseTensors

/// The largest whole number that a double holds exactly, as do all integers below it.
private let large: Int64 = 1 << 53
private let largestInt32 = Int64(Int32.max)
private let largestContext: Int64 = 1 << 24
/// The largest finite Float, which sampling computes with.
private let largestFloat = Double(Float.greatestFiniteMagnitude)

extension RuntimeOptions {
  static let threadings: KeyValuePairs<String, Kernels.Threading> = ["openmp": .openmp, "pthread": .pthread]

  static let rows: [OptionRow<Self>] = [
    .int(
      "threads", 1...1024, to: \.threadCount, unit: "threads",
      "Number of compute threads; default: XVERSE_NUM_THREADS, else the CPUs and CPU time this process may use."),
    .choice(
      "threading", [.value("auto", nil)] + threadings.map { .value($0.key, $0.value) }, to: \.threading,
      "Which library starts the compute threads; auto: OpenMP where it cannot abort the process, else pthreads."),
    .int(
      "memory_limit", 0...large, to: \.memoryLimit, unit: "bytes",
      "Most bytes of memory to hold at a time, mapped files not counted; 0: no limit."),
    .choice(
      "isa", [.value("auto", nil)] + Kernels.InstructionSet.allCases.map { .value($0.name, $0) },
      to: \.instructionSet, "Instruction set of the kernels; auto: the best that this CPU has."),
  ]
}

/// The rows that the kinds MODEL and CONVERT share.
extension OptionRow where Group: ModelReading {
  fileprivate static var quantize: Self {
    .choice(
      "quantize", [.value("none", nil)] + QuantizationScheme.allCases.map { .value($0.rawValue, $0) },
      to: \.quantization.scheme, "Convert float weights to 8 or 4 bits.")
  }

  fileprivate static var calibration: Self {
    .path(
      "calibration", to: \.quantization.calibrationPath,
      "Text file to calibrate the quantization with: more accurate, but an hour or more for 7B; needs quantize.")
  }

  fileprivate static var tokenizer: Self {
    .path(
      "tokenizer", to: \.model.tokenizerPath,
      "Take the tokenizer from this tokenizer.json, directory or GGUF file.")
  }
}

extension LoadOptions {
  static let rows: [OptionRow<Self>] = [
    .quantize,
    .calibration,
    .choice(
      "load", [.value("mmap", .map), .value("read", .read)], to: \.model.mode,
      "Map the files and use the weights in place, or read a private copy."),
    .choice(
      "verify", [.value("header", false), .value("values", true)], to: \.model.verifiesValues,
      "Check headers only, or also that every weight is finite."),
    .tokenizer,
    .flag("vocab_only", to: \.model.vocabularyOnly, "1: load configuration and tokenizer only."),
    .float(
      "rope_theta", 1...0x1p40, to: \.model.ropeTheta, "Base of the rotary frequencies; default: config.json's."),
    .choice(
      "rope_scaling",
      [
        .value("none", ModelConfiguration.RoPEScaling.none),
        .factor("linear:") { .linear(factor: $0) },
        .factor("dynamic:") { .dynamic(factor: $0) },
      ],
      to: \.model.ropeScaling, "Rotary scaling and its factor, as in dynamic:2."),
    .int(
      "prefix_cache", 0...large, to: \.prefixCacheLimit, unit: "bytes",
      "Most bytes of keys and values to keep for prompts that begin like earlier ones; 0: none."),
  ]
}

extension SessionOptions {
  static let rows: [OptionRow<Self>] = [
    .int(
      "context", 1...largestContext, to: \.context, unit: "tokens",
      "Most tokens of a sequence; default: the model's n_ctx_train."),
    .choice("kv_type", to: \.cacheElement, "Element type of the KV cache."),
    .choice("overflow", to: \.overflow, "When the context is full: fail, or drop the older half and continue."),
  ]
}

extension SamplingOptions {
  static let rows: [OptionRow<Self>] = [
    .flag("do_sample", to: \.doSample, "0: always take the most probable token; 1: draw from the distribution."),
    .float(
      "temperature", 0...largestFloat, to: \.temperature,
      "Divides the logits; 0: greedy; above 0 also sets do_sample."),
    .int(
      "top_k", 0...largestInt32, to: \.generation.sampling.topK, unit: "tokens", default: .model,
      "Keep the k most probable tokens; 0: off."),
    .float(
      "top_p", 0...1, to: \.generation.sampling.topP, default: .model,
      "Keep the most probable tokens that reach this probability together; 1: off."),
    .float(
      "min_p", 0...1, to: \.generation.sampling.minP, default: .model,
      "Keep tokens at least this probable relative to the most probable; 0: off."),
    .float(
      "typical_p", 0...1, to: \.generation.sampling.typicalP, default: .model,
      "Keep the most typical tokens that reach this probability together; 1: off."),
    .float(
      "repetition_penalty", 0x1p-20...0x1p20, to: \.generation.sampling.repetitionPenalty, default: .model,
      "Penalty on tokens of prompt and output; 1: off."),
    .int(
      "repeat_last_n", 0...largestContext, to: \.generation.sampling.repeatLastN, unit: "tokens",
      "How many of the last tokens repetition_penalty covers; 0: all."),
    .float(
      "frequency_penalty", -2...2, to: \.generation.sampling.frequencyPenalty,
      "Subtracted from a token's logit for each time it was generated."),
    .float(
      "presence_penalty", -2...2, to: \.generation.sampling.presencePenalty,
      "Subtracted from the logit of each token that was generated."),
    .int("seed", -1...large, to: \.seed, "Seed for the random numbers; -1: a seed from the system."),
    .int(
      "max_new_tokens", 0...largestContext, to: \.generation.maximumNewTokens, unit: "tokens",
      "Most tokens to generate; default: the model's, else the rest of the context."),
    .json(
      "stop", to: \.generation.stops,
      "Strings that end generation: a JSON array of at most 256 strings of at most 4096 bytes.",
      reading: OptionJSON.stops),
    .json(
      "logit_bias", to: \.generation.sampling.logitBias,
      "Added to logits: a JSON object of token ids and numbers.", reading: OptionJSON.biases),
    .flag(
      "ignore_eos", to: \.generation.ignoresEOS, "1: continue past end-of-sequence tokens."),
    .flag("logprobs", to: \.generation.wantsLogprobs, "1: return the log-probability of every generated token."),
    .int(
      "deadline_ms", 0...large, to: \.generation.deadline, unit: "milliseconds",
      "Milliseconds after which generation ends; 0: no limit."),
    .int(
      "n", 1...1024, to: \.generation.count, unit: "answers",
      "Number of answers to one prompt, in a scheduler; each after the first has a seed 1 higher."),
    .int(
      "priority", -largestInt32...largestInt32, to: \.generation.priority,
      "Requests with lower numbers go first, in a scheduler."),
    .int(
      "prompt_lookup_num_tokens", 0...Int64(SpeculationOptions.mostTokens),
      to: \.generation.speculation.promptLookupTokens, unit: "tokens",
      "Most tokens to guess at a time from repetitions in the text; changes speed only; 0: off."),
    .int(
      "num_assistant_tokens", 0...Int64(SpeculationOptions.mostTokens), to: \.generation.speculation.draftTokens,
      unit: "tokens", "Most tokens that a draft model guesses at a time; changes speed only; 0: off."),
  ]
}

extension SchedulerSettings {
  static let rows: [OptionRow<Self>] = [
    .int(
      "max_num_seqs", 1...1024, to: \.maximumSequences, unit: "answers", "Most answers that run together."),
    .int(
      "max_num_batched_tokens", 1...8192, to: \.maximumBatchedTokens, unit: "tokens",
      "Most prompt tokens to evaluate in one pass."),
    .int(
      "max_queued_requests", 0...65536, to: \.maximumQueued, unit: "answers", "Most answers that wait for their turn."),
    .int(
      "context", 1...largestContext, to: \.context, unit: "tokens",
      "Most tokens of a prompt with its answer; default: the model's n_ctx_train."),
    .choice("kv_type", to: \.cacheElement, "Element type of the KV cache."),
  ]
}

extension ConversionOptions {
  static let rows: [OptionRow<Self>] = [
    .quantize, .calibration, .tokenizer,
    .int(
      "max_shard_size", 0...large, to: \.maximumShardSize, unit: "bytes",
      "Most bytes of weights in one file; 0: one file for all."),
    .choice("format", to: \.format, "What to write: a Hugging Face directory or a GGUF file."),
    .choice(
      "type", GGUFExport.Encoding.allCases.map { .value($0.rawValue, $0) }, to: \.encoding, default: .value(.f16),
      "Type of the matrices in a GGUF file; default: f16."),
  ]
}

extension PerplexityOptions {
  static let rows: [OptionRow<Self>] = [
    .int(
      "context", 2...largestContext, to: \.context, unit: "tokens",
      "Tokens in a window; default: n_ctx_train, at most 2048."),
    .flag("bos", to: \.beginsWithBOS, "1: every window begins with the BOS token."),
    .int(
      "windows", 0...largestInt32, to: \.maximumWindows, unit: "windows", "Most windows to score; 0: all."),
  ]
}
