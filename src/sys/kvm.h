// Whether KVM runs guests here (Documentation/virt/kvm/api.rst).
#pragma once

namespace curlingiron {

// Opening /dev/kvm is no proof: nested or filtered machines offer it and then hang. This runs a
// guest of one instruction in a child process, and gives it two seconds.
bool kvm_works();

}  // namespace curlingiron
