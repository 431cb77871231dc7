// OccurrencePenalties.swift -- the third step: generated tokens lose a fixed amount, and an amount for each occurrence.

/// logit -= count * frequency + presence, for each distinct token.
///
/// Source: OpenAI's API reference, `frequency_penalty` and `presence_penalty`.
func penalizeOccurrence(
  of tokens: borrowing TokenCounts, frequency: Float, presence: Float, in logits: UnsafeMutableBufferPointer<Float>
) {
  let distinct = tokens.distinct
  let counts = tokens.counts
  for index in distinct.indices {
    logits[Int(distinct[index])] -= Float(counts[index]) * frequency + presence
  }
}
