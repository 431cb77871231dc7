// RepetitionPenalty.swift -- the second step: tokens that stand in prompt or output become less likely.

/// Divides a positive and multiplies a negative logit by `penalty`, once for each distinct token.
///
/// Source: CTRL (Keskar et al. 2019, section 4.1) as changed by Hugging Face's `RepetitionPenaltyLogitsProcessor`.
func penalizeRepetition(
  _ tokens: borrowing TokenCounts, by penalty: Float, in logits: UnsafeMutableBufferPointer<Float>
) {
  for token in tokens.distinct {
    let logit = logits[Int(token)]
    logits[Int(token)] = logit < 0 ? logit * penalty : logit / penalty
  }
}
