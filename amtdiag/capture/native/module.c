/* The Python side of sieve.c, in the limited API: one build serves Python 3.11 and all that come after it. */
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "sieve.h"

typedef struct {
    PyObject_HEAD
    struct sieve *sieve;
    bool walking; /* without the GIL: no other thread may change what is watched */
    PyObject *layout; /* a tuple, and what it says: a file's calls all come with the same */
    struct pcap_layout pcap;
} Sieve;

static bool is_free(const Sieve *self)
{
    if (self->walking)
        PyErr_SetString(PyExc_RuntimeError, "a sieve is for one thread at a time");
    return !self->walking;
}

static PyObject *sieve_create(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    const char *tcp_ports, *udp_ports, *head;
    Py_ssize_t tcp_size, udp_size, head_size;
    unsigned int head_length;
    unsigned long long seed;
    static char *names[] = {"tcp_ports", "udp_ports", "head", "head_length", "seed", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y#y#y#IK", names, &tcp_ports, &tcp_size, &udp_ports, &udp_size,
                                     &head, &head_size, &head_length, &seed))
        return NULL;
    if (tcp_size != SIEVE_PORT_BYTES || udp_size != SIEVE_PORT_BYTES || head_size != SIEVE_HEAD_BYTES ||
        head_length > SIEVE_HEAD_MAX) {
        PyErr_SetString(PyExc_ValueError, "port sets of 8192 bytes, a head of 256 bytes and at most 8 places");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Sieve *self = (Sieve *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    self->sieve = sieve_new((const uint8_t *)tcp_ports, (const uint8_t *)udp_ports, (const uint8_t *)head, head_length,
                            seed);
    if (self->sieve == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void sieve_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    sieve_free(((Sieve *)self)->sieve);
    Py_XDECREF(((Sieve *)self)->layout);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static bool is_key(Py_ssize_t size)
{
    if (size == 2 * 4 + 4 || size == 2 * 16 + 4)
        return true;
    PyErr_SetString(PyExc_ValueError, "a key is two addresses and two ports");
    return false;
}

typedef void (*Change)(struct sieve *sieve, const uint8_t *key, size_t length);

static PyObject *change(Sieve *self, PyObject *args, Change apply)
{
    const char *keys[2];
    Py_ssize_t sizes[2];
    if (!PyArg_ParseTuple(args, "y#y#", &keys[0], &sizes[0], &keys[1], &sizes[1]) || !is_free(self))
        return NULL;
    for (int each = 0; each < 2; each++) {
        if (!is_key(sizes[each]))
            return NULL;
    }
    for (int each = 0; each < 2; each++)
        apply(self->sieve, (const uint8_t *)keys[each], (size_t)sizes[each]);
    Py_RETURN_NONE;
}

static PyObject *sieve_watch_keys(PyObject *self, PyObject *args)
{
    return change((Sieve *)self, args, sieve_watch);
}

static PyObject *sieve_unwatch_keys(PyObject *self, PyObject *args)
{
    return change((Sieve *)self, args, sieve_unwatch);
}

static PyObject *slot(PyObject *object, PyObject *args)
{
    const char *key;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "y#", &key, &size) || !is_key(size))
        return NULL;
    return PyLong_FromSize_t(sieve_slot(((Sieve *)object)->sieve, (const uint8_t *)key, (size_t)size));
}

static PyObject *take_seen(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Sieve *self = (Sieve *)object;
    if (!is_free(self))
        return NULL;
    if (!sieve_remember(self->sieve))
        return PyErr_NoMemory();
    uint8_t *seen = sieve_seen(self->sieve);
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)seen, SIEVE_SEEN_BYTES);
    if (bytes != NULL)
        memset(seen, 0, SIEVE_SEEN_BYTES);
    return bytes;
}

/* The buffers of one walk: what is read, and where it is counted. */
typedef struct {
    Py_buffer data, tallies;
    size_t pos, end, interfaces;
} Walk;

/* True once both buffers are held and `pos` and `end` are known to lie inside of the first. */
static bool begin_walk(Sieve *self, Walk *walk, PyObject *data, Py_ssize_t pos, Py_ssize_t end, PyObject *tallies)
{
    if (!is_free(self) || PyObject_GetBuffer(data, &walk->data, PyBUF_SIMPLE) < 0)
        return false;
    if (PyObject_GetBuffer(tallies, &walk->tallies, PyBUF_WRITABLE) < 0) {
        PyBuffer_Release(&walk->data);
        return false;
    }
    /* Where nothing is in it, a bytearray may begin anywhere, and in some versions of Python does. */
    const bool is_aligned = walk->tallies.len == 0 || (uintptr_t)walk->tallies.buf % sizeof(uint64_t) == 0;
    if (pos < 0 || end < pos || end > walk->data.len || walk->tallies.len % (Py_ssize_t)sizeof(struct tally) != 0 ||
        !is_aligned) {
        PyErr_SetString(PyExc_ValueError, "a walk outside of its buffer");
        PyBuffer_Release(&walk->data);
        PyBuffer_Release(&walk->tallies);
        return false;
    }
    walk->pos = (size_t)pos;
    walk->end = (size_t)end;
    walk->interfaces = (size_t)walk->tallies.len / sizeof(struct tally);
    self->walking = true;
    return true;
}

static void end_walk(Sieve *self, Walk *walk)
{
    self->walking = false;
    PyBuffer_Release(&walk->data);
    PyBuffer_Release(&walk->tallies);
}

/* Taking a tuple apart takes longer than the rest of a call, of which there is one for each packet that may matter. */
static bool read_layout(Sieve *self, PyObject *layout)
{
    int big_endian, swapped, maybe_swapped;
    unsigned int header, unit, limit;
    if (layout == self->layout)
        return true;
    if (!PyArg_ParseTuple(layout, "pppIII", &big_endian, &swapped, &maybe_swapped, &header, &unit, &limit))
        return false;
    PyObject *before = self->layout;
    Py_INCREF(layout);
    self->layout = layout;
    self->pcap = (struct pcap_layout){big_endian, swapped, maybe_swapped, header, unit, limit};
    Py_XDECREF(before);
    return true;
}

static PyObject *walk_pcap(PyObject *object, PyObject *args)
{
    Sieve *self = (Sieve *)object;
    PyObject *data, *tallies, *layout;
    Py_ssize_t pos, end;
    Walk walk;
    if (!PyArg_ParseTuple(args, "OnnOO!", &data, &pos, &end, &tallies, &PyTuple_Type, &layout) ||
        !read_layout(self, layout) || !begin_walk(self, &walk, data, pos, end, tallies))
        return NULL;
    const struct pcap_layout pcap = self->pcap;
    if (walk.interfaces != 1 || pcap.header < 16) {
        end_walk(self, &walk);
        PyErr_SetString(PyExc_ValueError, "a pcap file has one interface and records with a header");
        return NULL;
    }
    struct tally *tally = walk.tallies.buf;
    const uint64_t before = tally->packets;
    Py_BEGIN_ALLOW_THREADS
    walk.pos = sieve_pcap(self->sieve, &pcap, walk.data.buf, walk.pos, walk.end, tally);
    Py_END_ALLOW_THREADS
    const uint64_t passed = tally->packets - before;
    end_walk(self, &walk);
    return Py_BuildValue("nK", (Py_ssize_t)walk.pos, (unsigned long long)passed);
}

static PyObject *walk_pcapng(PyObject *object, PyObject *args)
{
    Sieve *self = (Sieve *)object;
    PyObject *data, *tallies;
    Py_ssize_t pos, end;
    int big_endian;
    unsigned int block_limit, record_limit;
    if (!PyArg_ParseTuple(args, "OnnO(pII)", &data, &pos, &end, &tallies, &big_endian, &block_limit, &record_limit))
        return NULL;
    const struct pcapng_layout layout = {big_endian, block_limit, record_limit};
    struct passed passed = {0, 0, 0};
    Walk walk;
    if (!begin_walk(self, &walk, data, pos, end, tallies))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    walk.pos = sieve_pcapng(self->sieve, &layout, walk.data.buf, walk.pos, walk.end, walk.tallies.buf, walk.interfaces,
                            &passed);
    Py_END_ALLOW_THREADS
    end_walk(self, &walk);
    return Py_BuildValue("nKIK", (Py_ssize_t)walk.pos, (unsigned long long)passed.packets, (unsigned int)passed.interface,
                         (unsigned long long)passed.stamp);
}

static PyObject *wants(PyObject *object, PyObject *args)
{
    Sieve *self = (Sieve *)object;
    const char *packet;
    Py_ssize_t size;
    unsigned int linktype, wirelen;
    if (!PyArg_ParseTuple(args, "Iy#I", &linktype, &packet, &size, &wirelen) || !is_free(self))
        return NULL;
    return PyBool_FromLong(sieve_wants(self->sieve, linktype, (const uint8_t *)packet, (size_t)size, wirelen));
}

static PyMethodDef sieve_methods[] = {
    {"watch", sieve_watch_keys, METH_VARARGS,
     PyDoc_STR("watch(key, reverse): keep both directions of a conversation from now on.")},
    {"unwatch", sieve_unwatch_keys, METH_VARARGS,
     PyDoc_STR("unwatch(key, reverse): take back one call of `watch`.")},
    {"slot", slot, METH_VARARGS,
     PyDoc_STR("slot(key): the bit of a conversation's direction in what `seen` gives.")},
    {"seen", take_seen, METH_NOARGS,
     PyDoc_STR("seen(): of which conversations segments were passed over since the last call; from the first call on.")},
    {"wants", wants, METH_VARARGS,
     PyDoc_STR("wants(linktype, packet, wirelen): whether a packet has to be looked at.")},
    {"pcap", walk_pcap, METH_VARARGS,
     PyDoc_STR("pcap(data, pos, end, tally, layout)\n"
               "-> position of the first record that is left to the caller, packets passed over.")},
    {"pcapng", walk_pcapng, METH_VARARGS,
     PyDoc_STR("pcapng(data, pos, end, tallies, layout)\n"
               "-> position of the first block that is left to the caller, packets passed over, interface and stamp of\n"
               "the last of them.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot sieve_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("Passes over the packets of a capture that cannot matter; see sieve.h.")},
    {Py_tp_new, (void *)sieve_create},
    {Py_tp_dealloc, (void *)sieve_dealloc},
    {Py_tp_methods, sieve_methods},
    {0, NULL},
};

static PyType_Spec sieve_spec = {
    .name = "amtdiag.capture._kernel.Sieve",
    .basicsize = sizeof(Sieve),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = sieve_slots,
};

static int fill_module(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &sieve_spec, NULL);
    if (type == NULL)
        return -1;
    int failed = PyModule_AddObjectRef(module, "Sieve", type);
    Py_DECREF(type);
    if (failed < 0)
        return -1;
    return PyModule_AddIntConstant(module, "TALLY_BYTES", sizeof(struct tally));
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)fill_module},
    {0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "amtdiag.capture._kernel",
    .m_doc = PyDoc_STR("The compiled part of the scan."),
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__kernel(void);

PyMODINIT_FUNC PyInit__kernel(void)
{
    return PyModuleDef_Init(&module_definition);
}
