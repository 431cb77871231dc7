// SchedulerSettings.swift -- how much a scheduler does at a time.

import XverseModels
import XverseTensors

/// The names of the options are vLLM's.
package struct SchedulerSettings: Sendable {
  /// Most answers that grow at a time (`max_num_seqs`).
  package var maximumSequences = 16
  /// Most tokens of prompts in one pass (`max_num_batched_tokens`).
  package var maximumBatchedTokens = XverseModel.tokensPerPass
  /// Most answers that wait (`max_queued_requests`).
  package var maximumQueued = 256
  /// Most tokens of a prompt with its answer; nil for the model's own.
  package var context: Int?
  package var cacheElement = KVElement.float32

  package init() {}
}
