// Without a version, kernels in half precision are left out.
#pragma once
