// DispatchTests.swift -- the tables of kernels and what the build says of itself.

import CXverseKernels
import Testing

@Suite("dispatch")
struct DispatchTests {
  @Test("always has the reference kernels and none of unknown sets")
  func knowsSets() {
    #expect(xvk_table_for(Int32(XVK_ISA_REFERENCE)) != nil)
    #expect(xvk_table_for(-1) == nil)
    #expect(xvk_table_for(Int32(XVK_ISA_COUNT)) == nil)
  }

  @Test("names exactly the known sets")
  func namesSets() {
    let names = KernelSet.allCases.map { xvk_isa_name($0.rawValue).map { String(cString: $0) } }
    #expect(names == ["reference", "avx2", "avxvnni", "avx512", "neon"])
    #expect(KernelSet.allCases.count == XVK_ISA_COUNT)
    #expect(xvk_isa_name(-1) == nil)
    #expect(xvk_isa_name(Int32(XVK_ISA_COUNT)) == nil)
  }

  @Test("has no set that is not built")
  func buildsWhatRuns() {
    for set in KernelSet.allCases where xvk_isa_is_built(set.rawValue) == 0 {
      #expect(xvk_table_for(set.rawValue) == nil, "\(set)")
    }
    #expect(xvk_isa_is_built(Int32(XVK_ISA_REFERENCE)) == 1)
    #expect(xvk_isa_is_built(-1) == 0)
    #expect(xvk_isa_is_built(Int32(XVK_ISA_COUNT)) == 0)
  }

  @Test("chooses the best set that this CPU runs")
  func choosesBest() {
    #expect(xvk_best_isa() == KernelSet.allCases.last { xvk_table_for($0.rawValue) != nil }?.rawValue)
  }

  @Test("loads OpenBLAS when asked to, again and again")
  func loadsBLAS() {
    #expect(xvk_blas_load(2) == 0)
    #expect(xvk_blas_load(2) == 0)
  }
}
