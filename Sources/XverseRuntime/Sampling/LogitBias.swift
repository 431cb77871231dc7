// LogitBias.swift -- the first step: what the caller adds to single logits.

/// Adds each bias to its token's logit; several of one token add up. The ids must be inside the vocabulary.
func addBias(_ biases: [(token: Int32, bias: Float)], to logits: UnsafeMutableBufferPointer<Float>) {
  for (token, bias) in biases { logits[Int(token)] += bias }
}
