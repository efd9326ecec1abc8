// Half precision is not emulated: these names only let the sources that mention them compile.
#pragma once
struct __half {};
struct __nv_bfloat16 {};
struct __nv_fp8_e4m3 {
    unsigned char __x;
    explicit __nv_fp8_e4m3(float);
};
enum { __NV_E4M3 };
__half __nv_cvt_fp8_to_halfraw(unsigned char, int);
float __half2float(__half);
__half __hmax_nan(__half, __half);
__half __hmin_nan(__half, __half);
unsigned short __half_as_ushort(__half);
__half __ushort_as_half(unsigned short);
